#!/usr/bin/env bash
# From a bare Debian 12 machine to the table of regimes, floor and goal beside what was measured:
#
#   bench/run.sh [--quick] [--json FILE] [--markdown FILE]
#   bench/run.sh --builds [--quick] [--json FILE] [--markdown FILE]
#
# Builds zp-regimes (Release) and runs it. Other libraries join where they are found: from Debian
# oneDNN, OpenBLAS, gemmlowp and XNNPACK, installed as root or with sudo; a newer oneDNN from the Python
# registry, installed into build/onednn (its product of f32 with s8 needs version 3.10, which you would
# install there yourself); and AOCL-DLP, FBGEMM, ruy and ggml where you built and
# installed them, with CMAKE_PREFIX_PATH in the environment naming the places, colons between:
#
#   CMAKE_PREFIX_PATH=$HOME/aocl-dlp:$HOME/ggml bench/run.sh --quick
#
# (FBGEMM as a shared library, ruy with position-independent code.) Each is raced on one thread and
# what is missing is named. --quick takes under three minutes, all shapes and rounds under twenty.
# --builds instead compares the library compiled by GCC and Clang, portable and with -march=native, in
# one process (zp-builds); that takes under three minutes once the four are compiled.
set -euo pipefail
start=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

builds=
arguments=()
for argument in "$@"; do
  case $argument in
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$root/bench/run.sh"; exit 0 ;;
    --builds) builds=1 ;;
    *) arguments+=("$argument") ;;
  esac
done
# run PROGRAM: with the arguments that are left; paths among them are the user's.
run() {
  cd "$start"
  exec "$root/build/release/bin/$1" "${arguments[@]}"
}

. cmake/bootstrap.sh
zp_require "${zp_build_packages[@]}" libbenchmark-dev:/usr/include/benchmark/benchmark.h
if [ -n "$builds" ]; then
  (zp_require clang-14:clang++-14) || say "going on without Clang"
  zp_configure release BENCH
  zp_build release zp-builds
  run zp-builds
fi
(zp_require libdnnl-dev:/usr/include/oneapi/dnnl/dnnl.hpp) || say "going on without Debian's oneDNN"
# A newer oneDNN than Debian's, once. The packages hold headers and libraries, nothing of Python.
if [ -z "${ZP_NO_INSTALL:-}" ] && [ ! -e build/onednn/include/oneapi/dnnl/dnnl.hpp ]; then
  say "installing a newer oneDNN into build/onednn"
  log=build/onednn-install.log
  mkdir -p build
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    (zp_require python3-venv:/usr/share/doc/python3-venv) || true
  { python3 -m venv build/onednn &&
    timeout 120 build/onednn/bin/pip install -q onednn-devel-cpu-gomp; } >"$log" 2>&1 </dev/null ||
    say "going on without a newer oneDNN: see $log"
fi
(zp_require libopenblas-dev:/usr/include/x86_64-linux-gnu/cblas-openblas.h) ||
  say "going on without OpenBLAS"
(zp_require libgemmlowp-dev:/usr/include/gemmlowp/public/gemmlowp.h) ||
  say "going on without gemmlowp"
(zp_require libxnnpack-dev:/usr/include/xnnpack.h libpthreadpool-dev:/usr/include/pthreadpool.h) ||
  say "going on without XNNPACK"
zp_configure release BENCH
zp_build release zp-regimes
run zp-regimes
