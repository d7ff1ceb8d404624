#!/usr/bin/env bash
# zp-lab killed while it writes a checkpoint: under the final names is a whole file or none, and a folder
# with a config.json is a model. Usage: killed.sh ZP_LAB, in the root of the repository.
set -euo pipefail
zp_lab=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
model=examples/models/gpt2-4m

fail() {
  echo "killed.sh: $1" >&2
  exit 1
}

printf '\001\000' >"$out/ids" # one token
# Everything with a final name can be read to its end.
whole() {
  local file
  for file in "$1"/*.safetensors "$1"/*.gguf; do
    [ -e "$file" ] || continue
    "$zp_lab" inspect "$file" >/dev/null || fail "$2: $file is not whole"
    files=$((files + 1))
  done
  [ -e "$1/config.json" ] || return 0
  "$zp_lab" logits --model "$1" --ids "$out/ids" --out "$out/logits" >/dev/null || fail "$2: a config.json without a model"
  models=$((models + 1))
}

# Waits for `bytes` of output, or the end; then kills.
kill_after_bytes() {
  local pid=$1 bytes=$2 written=0 state=R key value
  while [ "$written" -lt "$bytes" ] && [ "$state" != Z ]; do
    while read -r key value; do
      case $key in
        State:) state=${value%% *} ;;
      esac
    done <"/proc/$pid/status" || state=Z
    while read -r key value; do
      case $key in
        wchar:) written=$value ;;
      esac
    done <"/proc/$pid/io" || state=Z
  done 2>/dev/null
  if [ "$state" != Z ] && kill -KILL "$pid" 2>/dev/null; then killed=$((killed + 1)); fi
  wait "$pid" 2>/dev/null || true
}

[ -r /proc/self/io ] || { echo "killed.sh: no /proc/PID/io here"; exit 77; }
files=0 models=0 killed=0

# 250 MB of random weights, killed in their midst.
for megabytes in 1 20 100 200; do
  folder=$out/random-$megabytes
  "$zp_lab" random --like gpt2 -o "$folder" >/dev/null &
  kill_after_bytes $! $((megabytes * 1000000))
  whole "$folder" "random after $megabytes MB"
done
[ "$killed" -ge 3 ] || fail "random ended before it was killed"
[ "$files" = 0 ] || fail "a file appeared before it was whole"
left=$(find "$out" -type f -size +1k | wc -l)
echo "killed.sh: $killed times in a file that grows; $left temporary files were left"
rm -rf "$out"/random-*

# At any byte of what quantize writes, into a new folder and over another checkpoint.
for format in zeropoint gguf; do
  schemes=(w8 w4-g32)
  [ $format = gguf ] && schemes=(q8_0 q4_0)
  "$zp_lab" quantize --model $model --format $format --scheme ${schemes[0]} -o "$out/old-$format" >/dev/null
  killed=0 files=0 models=0
  for bytes in 1 1000 100000 400000 1000000 2000000 3000000 4000000 100000000; do
    for place in new old; do
      folder=$out/$format-$place-$bytes
      [ $place = old ] && cp -r "$out/old-$format" "$folder"
      "$zp_lab" quantize --model $model --format $format --scheme ${schemes[1]} --force -o "$folder" >/dev/null &
      kill_after_bytes $! "$bytes"
      whole "$folder" "$format, $place folder, after $bytes bytes"
      rm -rf "$folder"
    done
  done
  [ "$killed" -ge 4 ] || fail "quantize --format $format was killed $killed times only"
  echo "killed.sh: $format, killed $killed times; then $files whole files and $models models, nothing half"
done
