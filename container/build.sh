#!/bin/sh
# Builds the image that the agents run in.
#
#   ./container/build.sh               build it; what is unchanged comes from the engine's cache
#   ./container/build.sh --if-needed   only if the image is missing or was made of something else
#   ./container/build.sh --hash        print the hash of what the image would be made of, and build nothing
#   ./container/build.sh --no-cache    everything anew, with today's Debian packages
#
# Anything else goes to `docker build` as it is. Settings, from the environment or .env:
#   CONTAINER_IMAGE     name of the image (nanoclaw-agent:latest)
#   CONTAINER_RUNTIME   docker or podman (docker)
#   BASE_IMAGE          a Debian image to build on (debian:bookworm-slim; made from Debian's packages where none can be pulled)
#   EXTRA_CA_FILE       certificates to trust, for the build and in the image: those of a proxy that inspects TLS
# Without EXTRA_CA_FILE, the file that NODE_EXTRA_CA_CERTS names is trusted for the build and left out of the image.
set -eu
cd "$(dirname "$0")/.."
. container/base.sh

main() {
  read_settings
  case ${1-} in
    -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' container/build.sh ;;
    --hash) inputs_hash ;;
    --if-needed)
      shift
      is_current || build "$@"
      ;;
    *) build "$@" ;;
  esac
}

read_settings() {
  image=$(setting CONTAINER_IMAGE nanoclaw-agent:latest)
  engine=$(setting CONTAINER_RUNTIME docker)
  wanted_base=$(setting BASE_IMAGE '')
  extra_ca=$(setting EXTRA_CA_FILE '')
}

# setting NAME DEFAULT: from the environment, then .env; empty counts as not set.
setting() {
  value=$(printenv "$1") || value=
  env_file=${NANOCLAW_HOME:-.}/.env
  if [ -z "$value" ] && [ -r "$env_file" ]; then
    value=$(sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$env_file" | sed -e 's/[[:space:]]*$//' -e "s/^\([\"']\)\(.*\)\1\$/\2/" | tail -n 1)
  fi
  printf '%s' "${value:-$2}"
}

fail() {
  printf 'build.sh: %s\n' "$@" >&2
  exit 1
}

say() { printf '==> %s\n' "$*" >&2; }

# ---- what the image is made of

# Paths of all files that go into the build, from the one list in .dockerignore.
inputs() {
  sed -n 's/^!//p' .dockerignore | while read -r entry; do
    [ ! -e "$entry" ] || find "$entry" -name node_modules -prune -o -type f ! -name '*.test.ts' -print
  done
}

# The host's own dependencies are in package.json and the lockfile, too: of those, only the agent-runner's part counts.
inputs_hash() {
  {
    inputs | grep -v '^package' | LC_ALL=C sort | tr '\n' '\0' | xargs -0 "$sha256" $sha256_options
    locked_packages
    printf '%s\n' "$wanted_base"
    [ -z "$extra_ca" ] || cat "$extra_ca"
  } | sha | cut -c 1-16
}

# The lockfile's entries of the agent-runner and of all that it leads to, however deep.
locked_packages() {
  awk '
    /^    "/ { split($0, quoted, "\""); path = quoted[2]; name = path; sub(/.*node_modules\//, "", name) }
    /^    "/, /^    }/ { entry[name] = entry[name] $0 "\n" }
    /^      "[A-Za-z]*[dD]ependencies": \{/ { in_dependencies = 1; next }
    /^      }/ { in_dependencies = 0 }
    in_dependencies { split($0, quoted, "\""); needs[name] = needs[name] " " quoted[2] }
    function visit(name,    names, count, i) {
      if (seen[name]++) return
      printf "%s", entry[name]
      count = split(needs[name], names, " ")
      for (i = 1; i <= count; i++) visit(names[i])
    }
    END { visit("container/agent-runner"); visit("protocol") }
  ' package-lock.json
}

is_current() {
  built_of=$("$engine" image inspect --format '{{index .Config.Labels "nanoclaw.inputs"}}' "$image" 2>/dev/null) || return 1
  [ "$built_of" = "$(inputs_hash)" ]
}

# ---- building

build() {
  command -v "$engine" >/dev/null || fail "$engine is not installed. Install Docker or Podman (then CONTAINER_RUNTIME=podman), and run this again."
  [ -z "$extra_ca" ] || [ -r "$extra_ca" ] || fail "EXTRA_CA_FILE is $extra_ca, which cannot be read."
  started=$(date +%s)
  context=$(mktemp -d)
  trap 'rm -rf "$context"' EXIT
  trap 'exit 130' INT TERM
  case " $* " in *' --no-cache '*) fresh=yes ;; *) fresh= ;; esac
  base=$(base_image)
  say "Building $image on $base"
  fill_context
  set -- "$@" --tag "$image" --label "nanoclaw.inputs=$(inputs_hash)" --build-arg "BASE_IMAGE=$base"
  if [ -e "$context/container/extra-ca/build/ca.crt" ]; then set -- "$@" --build-arg NODE_EXTRA_CA_CERTS=/extra-ca/ca.crt; fi
  if [ -n "$extra_ca" ]; then set -- "$@" --build-arg EXTRA_CA_IN_IMAGE=/usr/local/share/ca-certificates/nanoclaw-extra.crt; fi
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy NPM_CONFIG_REGISTRY; do
    if printenv "$name" >/dev/null; then set -- "$@" --build-arg "$name"; fi
  done
  "$engine" build --force-rm "$@" --file "$context/container/Dockerfile" "$context" ||
    fail 'The image was not built; the reason stands above.'
  say "$image is ready after $(($(date +%s) - started)) s"
  show_sizes || say '(The sizes could not be read.)'
}

# A folder with the inputs alone. Modes are made alike, or another umask would make other layers.
fill_context() {
  inputs | tar -cf - -T - | tar -xf - -C "$context"
  mkdir -p "$context/container/skills" "$context/container/extra-ca/build" "$context/container/extra-ca/image"
  build_ca=${extra_ca:-${NODE_EXTRA_CA_CERTS-}}
  if [ -n "$build_ca" ] && [ -r "$build_ca" ]; then cp "$build_ca" "$context/container/extra-ca/build/ca.crt"; fi
  if [ -n "$extra_ca" ]; then cp "$extra_ca" "$context/container/extra-ca/image/nanoclaw-extra.crt"; fi
  chmod -R u=rwX,go=rX "$context"
}

show_sizes() {
  say "What takes the space (MB; $("$engine" image inspect --format '{{.Size}}' "$image" | awk '{ printf "%d", $1 / 1e6 }') in all):"
  "$engine" run --rm --network none --entrypoint /bin/sh "$image" -c '
    cd / && du -sm --apparent-size app/node_modules/@anthropic-ai app/node_modules/agent-browser app/dist app/.cache \
      usr/local/bin/node usr/local/lib/node_modules usr/lib/chromium usr/lib/*-linux-gnu usr/lib/git-core usr/lib/python3* \
      usr/share/fonts usr/bin usr/sbin usr/share/zoneinfo etc var 2>/dev/null | sort -rn' >&2
}

main "$@"
