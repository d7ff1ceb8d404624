#!/usr/bin/env bash
# From a bare Debian 12 machine to the experiment's tables: what does post-training quantization do
# to a language model?
#
#   examples/run.sh [argument of zp-lab perplexity]...
#
# Installs what is missing (as root or with sudo; otherwise says what to install), builds zp-lab
# alone, and measures the two models that ship, each as it is and with planted outlier channels, the
# way large models grow them by themselves. Under five minutes on two cores the first time. The
# numbers also go to build/release/results.json and .csv. An argument replaces the default of the
# same name:
#
#   examples/run.sh --model ~/models/opt-125m --schemes fp32,w8,w8a8-static --max-tokens 20000
#   examples/run.sh --plant 8:6
set -euo pipefail
start=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. cmake/bootstrap.sh
root=$PWD

case " $* " in
  *" -h "* | *" --help "*) sed -n "2,/^set/s/^# \{0,1\}//p" "$root/examples/run.sh"; exit 0 ;;
esac

# Options of ours that the user did not give.
options=()
user=("$@")
zp_default --model "$root/examples/models/gpt2-4m" "$root/examples/models/opt-4m"
zp_default --text "$root/examples/data/wikitext-2-raw/wiki.test.raw"
zp_default --calibration "$root/examples/data/wikitext-2-raw/wiki.valid.raw"
zp_default --plant 4:8
zp_default --max-tokens 24576
zp_default --json "$root/build/release/results.json"
zp_default --csv "$root/build/release/results.csv"

zp_require "${zp_build_packages[@]}"
zp_configure release EXAMPLES
zp_build release zp-lab

cd "$start"  # paths among the arguments are the user's
exec "$root/build/release/bin/zp-lab" perplexity "${options[@]}" "$@"
