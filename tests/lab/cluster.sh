#!/usr/bin/env bash
# examples/cluster/shard.sh as Slurm and Open MPI start it, with their variables set by hand on this
# machine: the merged shards are the single run. Usage: cluster.sh ZP_LAB, in the root of the repository.
set -euo pipefail
export ZP_LAB=$1
unset SLURM_ARRAY_TASK_ID SLURM_CPUS_PER_TASK OMPI_COMM_WORLD_RANK SHARDS
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
script=examples/cluster/shard.sh
run=(--model examples/models/gpt2-4m --schemes w8,w8a8-static --max-tokens 512 --window 64
  --calibration-tokens 512)

fail() {
  echo "cluster.sh: $1" >&2
  exit 1
}
# All numbers but the times; a merged run may also have other threads.
numbers() {
  grep -v -e '"seconds"' -e '"threads"' "$1"
}
merged_is_whole() {
  "$ZP_LAB" merge "$1"/shard-*.json --json "$1/whole.json" >"$1/table.txt"
  grep -q '^w8a8-static ' "$1/table.txt" || fail "no table from $1"
  diff <(numbers "$out/whole.json") <(numbers "$1/whole.json") || fail "$1: another result"
}

"$ZP_LAB" perplexity "${run[@]}" --json "$out/whole.json" >/dev/null
numbers "$out/whole.json" | grep -q '"loss"' || fail "the single run has no numbers"

for i in 1 2 3; do # 8 windows in 3 shards
  SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=3 SLURM_CPUS_PER_TASK=1 \
    bash "$script" "$out/slurm" "${run[@]}" >/dev/null
done
merged_is_whole "$out/slurm"
# One task again, as an array of its own.
rm "$out/slurm/shard-2.json"
if "$ZP_LAB" merge "$out"/slurm/shard-*.json >/dev/null 2>"$out/error"; then
  fail "merged without shard 2"
fi
grep -q 'shard 2/3 is missing' "$out/error" || fail "$(cat "$out/error")"
SHARDS=3 SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=1 \
  bash "$script" "$out/slurm" "${run[@]}" >/dev/null
merged_is_whole "$out/slurm"

for rank in 0 1; do
  OMPI_COMM_WORLD_RANK=$rank OMPI_COMM_WORLD_SIZE=2 \
    bash "$script" "$out/mpi" "${run[@]}" >/dev/null
done
merged_is_whole "$out/mpi"

code=0
bash "$script" "$out/none" 2>"$out/error" || code=$?
[ "$code" = 2 ] || fail "without a task: exit code $code"
grep -q 'sbatch --array=1-N' "$out/error" || fail "$(cat "$out/error")"
echo "cluster.sh: merged shards of Slurm and Open MPI are the single run"
