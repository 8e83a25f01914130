# The image that the agent image is built on; read by build.sh.

DEBIAN=bookworm

# Tools differ between Linux and macOS.
if command -v sha256sum >/dev/null; then sha256=sha256sum sha256_options=; else sha256=shasum sha256_options='-a 256'; fi
sha() { "$sha256" $sha256_options; }

# Prints the name of the base, which is then in the engine. BASE_IMAGE is taken at its word; else Debian's own slim image;
# else, where no image can be pulled, one of our own, made from Debian's packages. With `fresh` nothing old is used.
base_image() {
  if [ -n "$wanted_base" ]; then
    has_image "$wanted_base" || "$engine" pull "$wanted_base" >&2 ||
      fail "BASE_IMAGE is $wanted_base, which is not here and cannot be pulled."
    echo "$wanted_base"
    return
  fi
  slim=debian:$DEBIAN-slim
  own=nanoclaw-base:$(sha <container/base.sh | cut -c 1-12)
  for name in "$own" "$slim"; do
    if [ -z "$fresh" ] && has_image "$name"; then
      echo "$name"
      return
    fi
  done
  if "$engine" pull "$slim" >&2; then
    echo "$slim"
    return
  fi
  say "$slim cannot be pulled: making $own from Debian's packages instead"
  make_base "$own"
  echo "$own"
}

has_image() { "$engine" image inspect "$1" >/dev/null 2>&1; }

make_base() {
  need_mmdebstrap
  name=$1
  set -- --quiet --variant=minbase --include=usr-is-merged
  # As in Debian's slim images.
  for path in doc locale man; do set -- "$@" "--dpkgopt=path-exclude=/usr/share/$path/*"; done
  set -- "$@" '--dpkgopt=path-include=/usr/share/doc/*/copyright'
  merged=/usr/share/mmdebstrap/hooks/merged-usr
  if [ -d "$merged" ]; then set -- "$@" --hook-dir="$merged"; fi
  set -- "$@" "$DEBIAN" "$context/base.tar"
  debian_sources >"$context/base.list"
  if [ -s "$context/base.list" ]; then set -- "$@" "$context/base.list"; fi
  # In a file, not a pipe: half a file system must not become an image.
  mmdebstrap "$@" >&2 || fail 'The base could not be made; the reason stands above.'
  "$engine" import "$context/base.tar" "$name" >/dev/null
  rm "$context/base.tar" "$context/base.list"
}

need_mmdebstrap() {
  command -v mmdebstrap >/dev/null && return
  how='apt-get install mmdebstrap debian-archive-keyring'
  command -v apt-get >/dev/null || fail "A base can only be made on Debian or Ubuntu. Name a Debian image that is here: BASE_IMAGE=... $0"
  [ "$(id -u)" = 0 ] || fail "Making a base takes mmdebstrap: sudo $how" "Or name a Debian image that is here: BASE_IMAGE=... $0"
  say "Installing mmdebstrap"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive $how -y -q --no-install-recommends; } >&2 || fail 'mmdebstrap could not be installed.'
}

# The mirrors that this machine's apt uses for Debian, as lines for mmdebstrap; nothing leaves it to mmdebstrap's own default.
debian_sources() {
  command -v apt-get >/dev/null || return 0
  apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null | awk -v debian="$DEBIAN" '
    $1 == "Debian/Debian" { main = $2 }
    $1 == "Debian/Debian-Security" { security = $2 }
    END {
      if (main == "" || security == "") exit
      print "deb", main, debian, "main"
      print "deb", main, debian "-updates", "main"
      print "deb", security, debian "-security", "main"
    }'
}
