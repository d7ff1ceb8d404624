# Sourced by tests/run.sh, examples/run.sh and .ci/run: what the three have in common on the way
# from a bare Debian machine to a built preset. Expects to be sourced with the repository root as
# the current folder, under `set -euo pipefail`.

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
jobs=$(nproc 2>/dev/null || echo 2)

say() { printf '==> %s\n' "$*"; }

# zp_require PACKAGE:PROBE...: every package is there, or gets installed, or we say how and stop.
# PROBE is what we really need of it, a command or an absolute path, so that a tool which did not
# come from Debian counts too. ZP_NO_INSTALL=1 skips the question (libraries in a place of your own,
# CMAKE_PREFIX_PATH set, ...).
zp_require() {
  local entry probe missing=()
  [ -z "${ZP_NO_INSTALL:-}" ] || return 0
  for entry in "$@"; do
    probe=${entry#*:}
    if [[ $probe == /* ]] && [ -e "$probe" ]; then continue; fi
    command -v "$probe" >/dev/null || missing+=("${entry%%:*}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    [ -t 0 ] || as_root+=(-n)
  fi
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null </dev/null; then
    echo "These packages are missing, and this script may not install them. As root:" >&2
    echo "apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  say "installing ${missing[*]}"
  local log
  log=$(mktemp)
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
             -o DPkg::Lock::Timeout=300)
  # A failing update is no reason to stop: old package lists may be good enough.
  "${apt[@]}" update </dev/null >/dev/null || echo "apt-get update failed, going on" >&2
  "${apt[@]}" -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" </dev/null \
    >"$log" 2>&1 || {
    cat "$log" >&2
    echo "apt-get could not install: ${missing[*]}" >&2
    exit 1
  }
  rm -f "$log"
}

# What a build of the library and zp-lab needs: three tools and four header-only libraries.
zp_build_packages=(g++:g++ cmake:cmake ninja-build:ninja
  libeigen3-dev:/usr/include/eigen3/Eigen/Core libxsimd-dev:/usr/include/xsimd/xsimd.hpp
  nlohmann-json3-dev:/usr/include/nlohmann/json.hpp libcli11-dev:/usr/include/CLI/CLI.hpp)

# zp_configure PRESET "PART..." [CMAKE ARGUMENT...]: configures build/PRESET with the parts TESTS,
# BENCH, EXAMPLES named. A fresh folder gets only these; an existing one keeps what it has besides,
# so that the scripts share a folder without rebuilding each other's work.
zp_configure() {
  local preset=$1 parts=" $2 " part arguments=()
  shift 2
  for part in TESTS BENCH EXAMPLES; do
    if [[ $parts == *" $part "* ]]; then
      arguments+=("-DZP_BUILD_$part=ON")
    elif [ ! -e "build/$preset/CMakeCache.txt" ]; then
      arguments+=("-DZP_BUILD_$part=OFF")
    fi
  done
  if command -v ccache >/dev/null; then
    arguments+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  arguments+=(-DZP_UNITY=ON)  # for who builds once; those who edit leave it out
  say "configuring build/$preset"
  mkdir -p "build/$preset"
  cmake --preset "$preset" "${arguments[@]}" "$@" >"build/$preset/configure.log" 2>&1 </dev/null || {
    cat "build/$preset/configure.log" >&2
    exit 1
  }
}

# zp_build PRESET [TARGET...]
zp_build() {
  local preset=$1
  shift
  say "building build/$preset ${*:-}"
  cmake --build "build/$preset" --parallel "$jobs" ${1:+--target "$@"} </dev/null
}

# zp_default NAME VALUE...: NAME VALUE, for each, joins the array `options` unless the array `user`
# has NAME already.
zp_default() {
  local name=$1 argument
  shift
  for argument in "${user[@]}"; do
    case $argument in "$name" | "$name"=*) return 0 ;; esac
  done
  for argument in "$@"; do options+=("$name" "$argument"); done
}
