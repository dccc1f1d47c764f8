#!/bin/bash
# gpu-check.sh: everything about backend cuda that needs a GPU, in one command of at most ten minutes: build, suites, sanitizers of the
# device's code, studies against the CPU, throughput. Writes bench/results/<gpu>-<commit>.json and a page beside it.
#
#   scripts/gpu-check.sh [--deps PLACE] [--build FOLDER] [--out FOLDER] [--commit NAME] [--quick] [--limit SECONDS]
#                        [--device cuda:mock]
#     --deps   packages that scripts/gpu-deps.sh has laid ready (its folder or its .tgz), for a machine without them
#     --build  a build folder whose bin and lib are ready (the targets below, for this GPU): nothing is built
#     --commit what the results are called by where this is no git checkout
#     --out    where results go (default: bench/results)
#     --quick  without sanitizers and large sizes: two minutes
#     --limit  of the whole, in seconds (default: 600); steps for which too little is left are left out
#     --device cuda:mock: the script itself, tried on a machine without a GPU; its results prove nothing about one
# Needs nvcc, CMake, a C and C++ compiler, Python. What is missing beside these (Criterion: the suites; a BLAS: cpu as the
# other side) is said and left out, and the result file says so too. Ends with 0 only if nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
deps="" out=bench/results quick="" device=cuda dir="" commit="" limit=600
while [ $# -gt 0 ]; do
    case $1 in
    --deps) deps=$2; shift 2 ;;
    --build) dir=$2; shift 2 ;;
    --commit) commit=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --quick) quick=1; shift ;;
    --limit) limit=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    *) sed -n '2,18p' "$0"; exit 2 ;;
    esac
done
mkdir -p "$out"
start=$(date +%s)
log=$(mktemp -d)
steps=$log/steps.jsonl

# step NAME SECONDS COMMAND...: runs it, at most so long, keeps its output, notes how it ended.
step() {
    local name=$1 seconds=$2 begin left rc
    shift 2
    begin=$(date +%s)
    left=$((limit - 10 - begin + start))
    [ "$left" -ge 10 ] || { skip "$name" "no time was left"; return 1; }
    timeout -k 5 "$((seconds < left ? seconds : left))" "$@" >"$log/$name.txt" 2>&1
    rc=$?
    [ $rc -lt 124 ] || [ -n "${beside:-}" ] || end_strays
    printf '{"step": "%s", "rc": %d, "seconds": %d}\n' "$name" "$rc" $(($(date +%s) - begin)) >>"$steps"
    if [ $rc -eq 0 ]; then
        printf 'ok    %-24s %4d s\n' "$name" $(($(date +%s) - begin))
    else
        printf 'FAIL  %-24s %4d s, status %d; its last lines:\n' "$name" $(($(date +%s) - begin)) "$rc"
        tail -n 15 "$log/$name.txt" | cut -c1-200
        head -c 200000 "$log/$name.txt" >"$out/failed-$name.txt"
    fi
    return $rc
}
skip() {
    printf '{"step": "%s", "skipped": "%s"}\n' "$1" "$2" >>"$steps"
    printf 'LEFT OUT  %s: %s\n' "$1" "$2"
}

# Ends what steps that were cut off have left (tests are not of our process group).
end_strays() {
    local pid
    for pid in $(marked); do kill -9 "$pid" 2>/dev/null; done
}

. scripts/gpu-env.sh

# ---- build
tests=ON
if [ -n "$dir" ]; then
    [ -x "$dir/bin/backend" ] || { tests=OFF; skip suites "$dir/bin/backend is not there"; }
else
    dir=build/gpu
    pkg-config --exists criterion 2>/dev/null || { tests=OFF; skip suites "Criterion is not installed (scripts/gpu-deps.sh brings it)"; }
    step configure 120 cmake -S . -B $dir -DCMAKE_BUILD_TYPE=Release -DHPT_CUDA=ON -DHPT_CUDA_ARCHITECTURES="$capability" \
        -DHPT_TESTS=$tests -DHPT_EXAMPLES=ON || { cat "$log/configure.txt"; exit 1; }
    targets="hpt_gpu hpt_gpu_cuda hpt hpt-bench hpt-bench-surrogate digits_mlp"
    [ $tests = OFF ] || targets="$targets backend unit_sampler cuda_study hpt_gpu_cuda_mock gpu_share_probe"
    # shellcheck disable=SC2086
    step build 300 cmake --build $dir -j "$(nproc)" --target $targets || exit 1
fi
export LD_LIBRARY_PATH="$PWD/$dir/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
bin=$dir/bin
export HPT_TEST_REQUIRE=$device HPT_TEST_CUDA_DEVICE=$device XDG_CACHE_HOME=$log/cache
suite=$(tr : _ <<<"$device")

# ---- what the engine sees
step devices 60 "$bin/hpt" devices -v
grep -E '^cuda' "$log/devices.txt" | cut -c1-160

# ---- correctness
if [ $tests = ON ]; then
    step suite 240 "$bin/backend" --filter "${suite}_*/*" --jobs 4
    step study 120 "$bin/cuda_study" --jobs 1
    HPT_DEVICE=$device step sampler 240 "$bin/unit_sampler" --filter 'sampler_gp/@(branin_in_40_trials|finds_the_branch_that_hides_the_optimum)' --jobs 2
fi
step sweep_cuda 120 "$bin/hpt" run examples/digits/sweep.yaml --device "$device" --seed 1 --dir "$log/sweep_cuda" -q
for check in twice crowd; do step $check 60 scripts/gpu-study.sh $check "$bin" "$device"; done
if [ "$device" = cuda ]; then
    for check in auto hold; do step $check 90 scripts/gpu-study.sh $check "$bin" "$device"; done
    if [ -z "$pip" ] || [ $tests = OFF ]; then
        skip pip "no package nvidia of pip is there, or no test"
    else # the libraries that pip installed, and no others
        HPT_CUDA_PATH=$pip step pip 60 "$bin/cuda_study" --jobs 1
        HPT_CUDA_PATH=$pip "$bin/hpt" devices -v | grep '^cuda' | cut -c1-160
    fi
fi
# ---- speed; the large sizes apart, so that what takes too long costs nothing but itself
sizes=128,300,1000,2000,5000,10000 large=20000,50000
[ -z "$quick" ] || { sizes=128,1000,5000 large=""; }
[ "$device" = cuda ] || { sizes=32,128 large=""; }
step bench_cuda 150 "$bin/hpt-bench" surrogate --device "$device" --n $sizes --fit-up-to 5000 -o jsonl --output "$log/bench_cuda.jsonl"
step bench_both 120 "$bin/hpt-bench" surrogate --device "$device,cpu" --n "$(cut -d, -f1-3 <<<$sizes)" -o jsonl --output "$log/bench_both.jsonl"
used() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits "$@" 2>/dev/null; }
if [ -n "$large" ]; then
    used -lms 250 >"$log/used.txt" &
    poller=$!
    step bench_large 150 "$bin/hpt-bench" surrogate --device "$device" --n $large -r 1 -o jsonl --output "$log/bench_large.jsonl"
    kill $poller
    echo "fact: memory: $(sort -n "$log/used.txt" | tail -n 1) MiB used at most while n is up to ${large##*,}, $(used) MiB after it" >"$log/memory.txt"
fi
# ---- sanitizers, last: what they slow down would slow down the rest
if [ -z "$quick" ] && [ $tests = ON ]; then
    if command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck initcheck synccheck; do # side by side: each is one slow process
            beside=1 step "$tool" 150 compute-sanitizer --tool $tool --error-exitcode 99 --target-processes all \
                "$bin/backend" --filter "${suite}_small/*" --jobs 1 &
        done
        wait
        end_strays
    else
        skip sanitizers "compute-sanitizer is not installed"
    fi
fi
{
    printf '# %s, commit %s\n\n' "$gpu" "$commit"
    "$bin/hpt" devices -v
    printf '\n'
    [ ! -f "$log/suite.txt" ] || tail -n 3 "$log/suite.txt"
    sed -n 's/^fact: /- /p' "$log"/{twice,crowd,auto,hold,memory}.txt 2>/dev/null
} >"$out/$name-$commit.md"

# ---- one file
failed=$(grep -c '"rc": [^0]' "$steps")
python3 - "$log" "$out/$name-$commit" "$gpu" "$commit" "$failed" $(($(date +%s) - start)) <<'PY'
import json, os, sys

log, out, gpu, commit, failed, seconds = sys.argv[1:]


def rows(name):
    """The whole lines of a file that may have been cut off."""
    path = os.path.join(log, name)
    if not os.path.exists(path):
        return []
    return [json.loads(line) for line in open(path) if line.endswith("\n")]


result = {"gpu": gpu, "commit": commit, "failed_steps": int(failed), "seconds": int(seconds), "steps": rows("steps.jsonl"),
          "surrogate": rows("bench_cuda.jsonl") + rows("bench_large.jsonl"), "surrogate_with_cpu": rows("bench_both.jsonl")}
with open(out + ".json", "w") as f:
    json.dump(result, f, indent=1)
with open(out + ".md", "a") as f:
    f.write("\n| step | status | seconds |\n|---|---|--:|\n")
    for s in result["steps"]:
        f.write(f"| {s['step']} | {s.get('skipped') or ('ok' if s['rc'] == 0 else s['rc'])} | {s.get('seconds', '')} |\n")
    table = [r for r in result["surrogate"] if "case" in r]
    if table:
        f.write("\n| case | n | d | m | ms | GFLOP/s | error |\n|---|--:|--:|--:|--:|--:|--:|\n")
        for r in table:
            g, e = r.get("gflops"), r.get("error")
            f.write(f"| {r['case']} | {r['n']} | {r['d']} | {r.get('m') or ''} | {1e3 * r['seconds']:.3g} | "
                    f"{f'{g:.4g}' if g else ''} | {f'{e:.1e}' if e is not None else ''} |\n")
print(f"{out}.json and .md written")
PY
left_out=$(grep -c '"skipped"' "$steps")
echo "$failed steps failed, $left_out left out, in $(($(date +%s) - start)) s"
[ "$failed" -eq 0 ]
