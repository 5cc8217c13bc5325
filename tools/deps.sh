#!/usr/bin/env bash
# Puts there what a step needs, or says exactly what is missing. Usage: deps.sh node|run|test
set -eu
what=${1:?node, run or test}

missing=()
need_go() {
  command -v go >/dev/null || { echo "Go is missing: install Go 1.26 or newer and put it on PATH" >&2; exit 1; }
  local v; v=$(go env GOVERSION); v=${v#go}
  if [ "$(printf '%s\n1.26\n' "$v" | sort -V | head -1)" != "1.26" ]; then echo "Go $v is too old: Heyi needs 1.26 or newer" >&2; exit 1; fi
}
need() { # need <command> <debian package>
  command -v "$1" >/dev/null || missing+=("$2")
}
need_postgres() {
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing+=(postgresql)
}
need_font() {
  command -v fc-list >/dev/null || { missing+=(fontconfig fonts-noto-cjk); return; }
  fc-list :lang=zh-cn family 2>/dev/null | grep -q . || missing+=(fonts-noto-cjk)
}
install() {
  [ ${#missing[@]} -eq 0 ] && return
  local list; list=$(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')
  local sudo=""
  if [ "$(id -u)" != 0 ]; then command -v sudo >/dev/null && sudo="sudo -n"; fi
  if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && [ -z "$sudo" ]; }; then
    echo "missing: $list(install these packages, then run the same command again)" >&2; exit 1
  fi
  echo "installing Debian packages: $list"
  # shellcheck disable=SC2086
  if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $list >/dev/null; }; then
    echo "could not install: $list" >&2; exit 1
  fi
}

need_go
need node nodejs
need npm npm
if [ "$what" = test ]; then
  need chromium chromium
  need pdftotext poppler-utils
  need qpdf qpdf
  need openssl openssl
  need redis-server redis-server
  need_font
  need_postgres
fi
install
v=$(node -p process.versions.node)
if [ "$(printf '%s\n20.19\n' "$v" | sort -V | head -1)" != "20.19" ]; then echo "Node $v is too old: the screens need 20.19 or newer" >&2; exit 1; fi
