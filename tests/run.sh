#!/usr/bin/env bash
# From a bare Debian 12 machine to a green test run:
#
#   tests/run.sh [--preset NAME] [-DVARIABLE=VALUE]... [ctest argument]...
#
# Installs what is missing (as root or with sudo; otherwise says what to install), configures,
# builds, and runs the suite; then, but for sanitizers, runs everything that multiplies integers once
# more under every kernel that this processor can run. The last line reads "N passed, N failed".
# Presets: release (default), dev, asan, tsan, clang, native, aarch64 (kernels and products under
# QEMU). A second run costs seconds.
#
#   tests/run.sh -R gemm              only the tests whose name contains gemm
#   ZP_TEST_SEED=7 tests/run.sh       other random inputs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. cmake/bootstrap.sh

preset=release
cmake_arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=${2:?--preset needs a name}; shift 2 ;;
    --preset=*) preset=${1#*=}; shift ;;
    -D*) cmake_arguments+=("$1"); shift ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) break ;;
  esac
done

packages=("${zp_build_packages[@]}" catch2:/usr/include/catch2)
case $preset in
  release) packages+=(openmpi-bin:mpirun) ;;  # 7 MB: the mpirun line of examples/cluster
  asan) packages+=(clang-14:clang++-14 libomp-14-dev:/usr/lib/llvm-14/lib/libomp.so
                   libclang-rt-14-dev:/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux) ;;
  clang) packages+=(clang-14:clang++-14 libomp-14-dev:/usr/lib/llvm-14/lib/libomp.so) ;;
  tsan) packages+=(clang-14:clang++-14 libomp-14-dev:/usr/lib/llvm-14/lib/libarcher.so
                   libclang-rt-14-dev:/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux) ;;
  aarch64) packages+=(g++-aarch64-linux-gnu:aarch64-linux-gnu-g++ qemu-user:qemu-aarch64) ;;
esac
zp_require "${packages[@]}"
parts="TESTS EXAMPLES"
[ "$preset" != aarch64 ] || parts=TESTS
zp_configure "$preset" "$parts" "${cmake_arguments[@]}"
zp_build "$preset"

# Counts from ctest's own report, one <testcase status=...> per test: "run" is a pass, a test that
# asked to be skipped carries <skipped>, and everything else (failed, timed out, not built) failed.
passed=0 failed=0 skipped=0
count() { grep -cs "$1" "build/$preset/report.xml" || true; }
run_suite() {  # TITLE [ctest argument...]
  local report=$PWD/build/$preset/report.xml status=0 all run skip
  say "$1"
  shift
  rm -f "$report"
  ctest --preset "$preset" --parallel "$jobs" --output-junit "$report" "$@" </dev/null || status=$?
  all=$(count '<testcase ') run=$(count '<testcase .*status="run"')
  skip=$(count '<skipped message="SKIP_')
  passed=$((passed + run)) skipped=$((skipped + skip)) failed=$((failed + all - run - skip))
  if [ "$status" -ne 0 ] && [ "$all" -eq $((run + skip)) ]; then failed=$((failed + 1)); fi
}

kernels=build/$preset/kernels.txt  # written by the test kernels/list
rm -f "$kernels"
run_suite "testing $preset" --no-tests=error "$@"
# Sanitizers and QEMU: once, it takes long. Tests of kernels and products go over all kernels anyway.
if [[ $preset != [at]san && $preset != aarch64 ]] && [ -s "$kernels" ]; then
  while read -r kernel; do
    ZP_KERNEL=$kernel run_suite "testing $preset again, kernel $kernel" -L forced-kernel "$@"
  done <"$kernels"
fi

if [ "$skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
