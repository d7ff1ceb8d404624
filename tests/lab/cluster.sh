#!/usr/bin/env bash
# examples/cluster/shard.sh as Slurm and Open MPI start it: the merged shards are the single run.
# Usage, in the root of the repository:
#
#   cluster.sh ZP_LAB           with their variables set by hand on this machine
#   cluster.sh ZP_LAB mpirun    by the mpirun line in the script, on as many nodes as it names; they
#                               are this machine under other names. Exits 77 without Open MPI
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

# What the script says in its first lines, word for word but for OUT and DIR; the README says the same.
run_documented_line() {
  local line words command=()
  line=$(sed -n 's/^# *\(mpirun .*\)$/\1/p' $script)
  [ "$(wc -l <<<"$line")" = 1 ] || fail "expected one mpirun line in $script, not: $line"
  tr '\n' ' ' <README.md | grep -qF "\`$line\`" || fail "README.md has another line than: $line"
  read -ra words <<<"$line"
  for word in "${words[@]}"; do
    case $word in
      OUT) command+=("$out/mpirun") ;;
      DIR) command+=("${run[1]}") ;;
      *) command+=("$word") ;;
    esac
  done
  tasks=$(sed -n 's/.* -n \([0-9]*\) .*/\1/p' <<<"$line")
  for ((i = 1; i <= tasks; ++i)); do echo "zp-node-$i slots=1"; done >"$out/hosts"
  # What mpirun takes for ssh: the command of the node, here. Each node has a folder of its own for what
  # its daemon writes, and no topology in shared memory: daemons do not expect others on their machine.
  cat >"$out/agent" <<END
#!/bin/sh
mkdir -p "$out/nodes/\$1"
export TMPDIR="$out/nodes/\$1"
shift
exec sh -c "\$*"
END
  chmod +x "$out/agent"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rtc_hwloc_vmhole=none \
    OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent=$out/agent OMPI_MCA_oob_tcp_if_include=lo \
    OMPI_MCA_orte_default_hostfile=$out/hosts
  # The same with a program that does nothing: whether daemons start here at all (they need sockets).
  if ! "${command[@]/$script/true}" </dev/null >"$out/log" 2>&1; then
    echo "cluster.sh: Open MPI does not start $tasks daemons here: the mpirun line was not run"
    cat "$out/log"
    exit 77
  fi
  "${command[@]}" "${run[@]:2}" --threads 1 </dev/null >"$out/log" 2>&1 ||
    fail "$line: $(cat "$out/log")"
  [ "$(find "$out/mpirun" -name 'shard-*.json' | wc -l)" = "$tasks" ] || fail "not $tasks shards"
}

if [ "${2:-}" = mpirun ]; then
  if ! mpirun --version 2>/dev/null | grep -q 'Open MPI'; then
    echo "cluster.sh: no Open MPI here (openmpi-bin): the mpirun line was not run"
    exit 77
  fi
fi
"$ZP_LAB" perplexity "${run[@]}" --json "$out/whole.json" >/dev/null
numbers "$out/whole.json" | grep -q '"loss"' || fail "the single run has no numbers"
if [ "${2:-}" = mpirun ]; then
  run_documented_line
  merged_is_whole "$out/mpirun"
  echo "cluster.sh: $tasks merged shards of the mpirun line are the single run"
  exit 0
fi

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
