#!/usr/bin/env bash
# One task of an evaluation on several machines. Each measures its share of the windows:
#
#   sbatch --array=1-8 examples/cluster/shard.sh OUT --model DIR --schemes w8,w4-g32
#   mpirun -n 8 --map-by ppr:1:node --bind-to none examples/cluster/shard.sh OUT --model DIR
#
# and when all have ended, one call puts the table together, with the bits of a single run:
#
#   zp-lab merge OUT/shard-*.json --json OUT/whole.json
#
# OUT is a folder that all machines see, ZP_LAB the program (default: zp-lab on the path); the rest
# are options of zp-lab perplexity. To run task 3 of 8 again: SHARDS=8 sbatch --array=3 ...
#SBATCH --job-name=zp-lab
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
set -euo pipefail

if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  index=$SLURM_ARRAY_TASK_ID
  count=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
elif [ -n "${OMPI_COMM_WORLD_RANK:-}" ]; then # Open MPI counts from 0
  index=$((OMPI_COMM_WORLD_RANK + 1))
  count=$OMPI_COMM_WORLD_SIZE
else
  echo "shard.sh: neither SLURM_ARRAY_TASK_ID nor OMPI_COMM_WORLD_RANK is set: start it with" \
    "sbatch --array=1-N or mpirun -n N" >&2
  exit 2
fi
if [ $# -lt 1 ]; then
  echo "shard.sh: expected a folder for the shards, and options of zp-lab perplexity" >&2
  exit 2
fi
out=$1
shift

threads=()
if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then threads=(--threads "$SLURM_CPUS_PER_TASK"); fi
mkdir -p "$out"
exec "${ZP_LAB:-zp-lab}" perplexity "$@" ${threads[@]+"${threads[@]}"} \
  --shard "$index/$count" --json "$out/shard-$index.json"
