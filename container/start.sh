#!/bin/sh
# The container's entry: becomes the agent-runner, with the compile cache that was made with the image.
NODE_COMPILE_CACHE=/app/.cache
# Node looks in a folder named after its version and the user; for another user than ours that name leads to ours.
if [ ! -O /app ]; then
  NODE_COMPILE_CACHE=/tmp/.compile-cache
  mkdir -p "$NODE_COMPILE_CACHE"
  for cache in /app/.cache/*-1000; do ln -sfn "$cache" "$NODE_COMPILE_CACHE/$(basename "$cache" 1000)$(id -u)"; done
fi
export NODE_COMPILE_CACHE
# The browser does not trust what curl and Node trust: an EXTRA_CA_FILE has to be named to it (an empty name is an error).
if [ -n "${NODE_EXTRA_CA_CERTS-}" ]; then export AGENT_BROWSER_CA_CERT="$NODE_EXTRA_CA_CERTS"; fi
set -- node /app/dist/main.mjs "$@"
# Without `docker run --init` this is process 1, which must reap orphans and pass signals on.
[ $$ -ne 1 ] || set -- tini -- "$@"
exec "$@"
