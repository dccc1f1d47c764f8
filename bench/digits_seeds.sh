#!/bin/sh
# digits_seeds.sh: the digits sweep with several seeds and samplers, in turn; prints the best validation accuracy of each
# run and the medians, and keeps them in bench/results/digits_seeds.csv.
#
#   bench/digits_seeds.sh [SEEDS] [SAMPLER...]        default: 10 seeds, auto and random
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
hpt=$root/build/release/bin/hpt
seeds=${1:-10}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- auto random
DIGITS_BIN=$root/build/release/bin/digits_mlp
export DIGITS_BIN
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
out=$root/bench/results/digits_seeds.csv
mkdir -p "$(dirname "$out")"
echo "seed,sampler,best_val_accuracy" >"$out"
seed=1
while [ "$seed" -le "$seeds" ]; do
    for sampler in "$@"; do
        dir=$place/$sampler-$seed
        "$hpt" run "$root/examples/digits/sweep.yaml" --dir "$dir" --sampler "$sampler" --seed "$seed" -q >/dev/null
        best=$("$hpt" best --run "$dir" --format json | sed 's/.*"value": \([^,]*\),.*/\1/')
        echo "$seed,$sampler,$best" | tee -a "$out"
        rm -rf "$dir"
    done
    seed=$((seed + 1))
done
for sampler in "$@"; do
    printf 'median %s: ' "$sampler"
    grep ",$sampler," "$out" | cut -d, -f3 | sort -g |
        awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
done
