#!/bin/sh
# `chromium` for the agent. Its own sandbox needs rights that the container does not have: the container is the sandbox.
# The headless shell does not look for a proxy by itself.
exec /usr/lib/chromium/chromium-headless-shell --no-sandbox ${HTTPS_PROXY:+"--proxy-server=$HTTPS_PROXY"} "$@"
