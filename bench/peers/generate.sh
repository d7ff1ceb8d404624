#!/usr/bin/env bash
# Text generation beside PyTorch, ONNX Runtime, CTranslate2 and llama.cpp, on a model of the shape of
# GPT-2 124M with random weights:
#
#   bench/peers/generate.sh [--threads 1,2] [--rounds N] [--schemes A,B] [--json FILE] [--markdown FILE]
#
# Builds zp-lab and installs the engines from the Python registry into build/peers (1.5 GB); what
# does not install within its time becomes a line that says so. llama-cpp-python comes as source and
# is compiled for this machine, which takes ten minutes of two cores, once. ZP_LAB=PROGRAM uses that
# one instead.
set -euo pipefail
start=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case " $* " in
  *" -h "* | *" --help "*) sed -n '2,/^set/s/^# \{0,1\}//p' "$PWD/bench/peers/generate.sh"; exit 0 ;;
esac
. cmake/bootstrap.sh
root=$PWD work=$PWD/build/peers

zp_require "${zp_build_packages[@]}" python3:python3
python3 -c 'import ensurepip, venv' 2>/dev/null || zp_require python3-venv:/usr/share/doc/python3-venv
zp_lab=${ZP_LAB:-}
if [ -z "$zp_lab" ]; then
  zp_configure release EXAMPLES
  zp_build release zp-lab
  zp_lab=$root/build/release/bin/zp-lab
fi

mkdir -p "$work"
[ -e "$work/gpt2/model.safetensors" ] || "$zp_lab" random --like gpt2 -o "$work/gpt2"
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
install() {  # SECONDS PACKAGE...: once; a failure leaves its log and the race says what is missing
  local seconds=$1 log=$work/install-$2.log
  shift
  "$work/venv/bin/pip" show -q "${@%%==*}" 2>/dev/null && return
  say "installing $*"
  timeout "$seconds" "$work/venv/bin/pip" install -q "$@" >"$log" 2>&1 </dev/null ||
    say "going on without $*: see $log"
}
install 1200 torch==2.13.0
install 600 transformers
install 600 onnx onnxscript onnxruntime
install 600 ctranslate2
install 600 gguf
export CMAKE_BUILD_PARALLEL_LEVEL=$jobs CMAKE_ARGS="${CMAKE_ARGS:-} -DLLAVA_BUILD=OFF"  # no images
install 2400 llama-cpp-python

cd "$start"  # paths among the arguments are the user's
exec "$work/venv/bin/python" "$root/bench/peers/generate.py" --zp-lab "$zp_lab" --model "$work/gpt2" \
  --work "$work" "$@"
