#!/usr/bin/env bash
# Logits and greedy texts are the same bits under every integer kernel, every variant of the float kernels
# and any number of threads. Usage: same_bits.sh ZP_LAB, in the root of the repository.
set -euo pipefail
zp_lab=$1
unset ZP_KERNEL ZP_LAB_FLOAT
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
stored=w8,w4a8-g32,w8a8-static,w8a8-dynamic-token-attn8-head8
made=(fp32 w8a8-dynamic w8a8-outlier w3-kv8 w4-g32-head4)

fail() {
  echo "same_bits.sh: $1" >&2
  exit 1
}

# The names that run here, from what zp-lab says about one that there is not.
names() {
  local name
  for name in $(env "$1=?" "$zp_lab" gallery --only ties-away 2>&1 | sed -n "s/.*\(there are\|this machine runs\)[: ]*//p" | tr -d ,); do
    if env "$1=$name" "$zp_lab" gallery --only ties-away >/dev/null 2>&1; then echo "$name"; fi
  done
}
mapfile -t kernels < <(names ZP_KERNEL)
mapfile -t floats < <(names ZP_LAB_FLOAT)
[ ${#kernels[@]} -gt 0 ] && [ ${#floats[@]} -gt 0 ] || fail "no kernels found"

printf 'the of and to in a is was' | od -An -v -tu1 | tr -s ' ' '\n' | sed '/^$/d' |
  while read -r id; do printf "\\x$(printf %02x "$id")\\x00"; done >"$out/ids"

# Everything that the model computes, into a folder.
compute() { # FOLDER MODEL THREADS
  local scheme folder
  mkdir "$1"
  "$zp_lab" logits --model "$2" --ids "$out/ids" --out "$1/float.f32" >/dev/null
  for folder in "$out/$(basename "$2")-stored"/*; do
    "$zp_lab" logits --model "$folder" --ids "$out/ids" --out "$1/$(basename "$folder").f32" >/dev/null
  done
  for scheme in "${made[@]}" $rotated; do
    "$zp_lab" generate --model "$2" --scheme "$scheme" --prompt "The river" --max-new-tokens 24 --threads "$3" \
      >"$1/$scheme.txt" 2>"$out/error" || fail "$(cat "$out/error")"
  done
}

for model in examples/models/gpt2-4m examples/models/opt-4m tests/lab/data/stories260K; do
  "$zp_lab" quantize --model $model --scheme $stored --calibration-tokens 512 -o "$out/$(basename $model)-stored" >/dev/null
  rotated=w8a8-dynamic-rotate
  [ $model = tests/lab/data/stories260K ] && rotated= # 172 inputs
  compute "$out/reference" $model 1
  for ((i = 0; i < ${#kernels[@]} || i < ${#floats[@]}; ++i)); do
    kernel=${kernels[i % ${#kernels[@]}]} float=${floats[(i + 1) % ${#floats[@]}]}
    (export ZP_KERNEL=$kernel ZP_LAB_FLOAT=$float; compute "$out/other" $model $((1 + (i + 1) % 3)))
    diff -r "$out/reference" "$out/other" >&2 || fail "$model: $kernel, $float: other bits"
    rm -rf "$out/other"
  done
  rm -rf "$out/reference"
done
echo "same_bits.sh: the same logits and texts with ${kernels[*]} and ${floats[*]}"
