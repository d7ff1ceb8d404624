#!/usr/bin/env bash
# From a bare Debian 12 machine to the experiment's tables: what does post-training quantization do
# to a language model?
#
#   examples/run.sh [--model DIR]... [argument of zp-lab perplexity]...
#
# Installs what is missing (as root or with sudo; otherwise says what to install), builds zp-lab
# alone, and measures every model twice: as it is, and with planted outlier channels (--plant 4:8),
# the way large models grow them by themselves. Without --model: the two models that ship. The
# numbers also go to build/release/results/MODEL[-planted].json and .csv. Under five minutes on two
# cores the first time.
#
#   examples/run.sh --model ~/models/opt-125m --max-tokens 20000
#   examples/run.sh --schemes fp32,w8,w8a8-static --plant 8:6
set -euo pipefail
start=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. cmake/bootstrap.sh

absolute() { case $1 in /*) echo "$1" ;; *) echo "$start/$1" ;; esac; }

data=examples/data/wikitext-2-raw
models=() plant=4:8 arguments=()
text=$PWD/$data/wiki.test.raw calibration=$PWD/$data/wiki.valid.raw max_tokens=40000
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
    --json | --csv)
      echo "$1: the results go to build/release/results; for another place call zp-lab" >&2
      exit 2
      ;;
    --*)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
      case $1 in
        --model) models+=("$(absolute "$2")") ;;
        --text) text=$(absolute "$2") ;;
        --calibration) calibration=$(absolute "$2") ;;
        --max-tokens) max_tokens=$2 ;;
        --plant) plant=$2 ;;
        *) arguments+=("$1" "$2") ;;
      esac
      shift 2
      ;;
    *) echo "$1: unknown argument, see $0 --help" >&2; exit 2 ;;
  esac
done
[ ${#models[@]} -gt 0 ] || models=("$PWD/examples/models/gpt2-4m" "$PWD/examples/models/opt-4m")

zp_require "${zp_build_packages[@]}"
zp_configure release EXAMPLES
zp_build release zp-lab

results=build/release/results
mkdir -p "$results"
perplexity() {  # MODEL RESULT [argument...]
  echo
  build/release/bin/zp-lab perplexity --model "$1" --text "$text" --calibration "$calibration" \
    --max-tokens "$max_tokens" --json "$2.json" --csv "$2.csv" "${@:3}" "${arguments[@]}"
}
for model in "${models[@]}"; do
  name=$results/$(basename "$model")
  perplexity "$model" "$name"
  perplexity "$model" "$name-planted" --plant "$plant"
done
