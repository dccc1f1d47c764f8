#!/bin/bash
# soak_sched.sh: 64 trials at a time that behave badly, while `hpt run` is killed with SIGKILL every 5 s.
#
#   bench/soak_sched.sh [SECONDS] [path of hpt]
#
# The trials report, hang, are deaf to SIGTERM, leave processes behind (setsid, double fork), crash, take more memory than
# they may, and say that their GPU's memory is full. Four GPUs of 40 GiB are declared, a trial asks for a sixteenth of one.
# A monitor reads the environments of the trials' processes from outside: what a device's trials hold at one instant is
# never more than the device. After the last kill one run ends what is left. Printed, and the exit status 1 if one of the
# last three is not 0:
#   started        trials of the study
#   accounted      of these, ended once, in one final state
#   lost           the others, and values that were told before a kill and not after it
#   oversubscribed looks of the monitor at which a device was
#   orphans        processes of trials after the last run, and after a run that was stopped
# Then 64 sleeping trials are stopped one by one: seconds from the call of `hpt stop` until the process is gone, for trials
# that end at SIGTERM and for deaf ones (grace 1 s).
set -eu
seconds=${1:-60}
hpt=$(realpath "${2:-$(dirname "$0")/../build/release/bin/hpt}")
place=$(mktemp -d)
place=$(realpath "$place")
monitor=
trap 'cd /; [ -z "$monitor" ] || kill "$monitor" 2>/dev/null || true; rm -rf "$place"' EXIT
cd "$place"
export HPT_FAKE_DEVICES=4x40GiB HPT_DISABLE_FLAPPING=1 HPT_CLAIMS_DIR=$place/claims

cat >train.sh <<'T'
#!/bin/bash
case $((HPT_TRIAL % 12)) in
0 | 1 | 2) for i in 1 2 3; do echo "step=$i loss=$i"; sleep 0.3; done ;;
3) for i in 1 2 3 4 5 6 7 8; do echo "step=$i loss=$((HPT_TRIAL + i))"; sleep 0.2; done ;;
4) echo loss=1; exec sleep 600 ;;                          # hangs: stopped for its silence
5) trap '' TERM; while :; do sleep 1; done ;;              # deaf, and silent
6) (setsid sleep 600 &) ; (sleep 600 &) ; echo loss=6 ;;   # leaves processes in and out of its session
7) kill -SEGV $$ ;;
8) # takes more than its memory until the kernel kills it, here by its own hand: GPU trials have no limit of their own
    exec awk 'BEGIN { s = "0123456789abcdef"; while (length(s) < 2^27) s = s s
                      getline pid < "/proc/self/stat"; split(pid, f, " "); system("kill -9 " f[1]) }' ;;
9) echo "torch.OutOfMemoryError: CUDA out of memory." >&2; exit 1 ;;
10) setsid bash -c 'trap "" TERM HUP; (setsid sleep 600 &); sleep 600' & echo loss=10 ;;
*) sleep 0.5; echo loss=11 ;;
esac
T
chmod +x train.sh
sweep() { # name, command, extra keys
    cat >"$1.yaml" <<Y
name: $1
method: random
metric: {name: loss, goal: minimize}
command: $2
parameters: {x: {min: 0.0, max: 1.0}}
hpt: {resources: {gpu: 0.0625, memory: 96MiB, cpu: 0.01}, grace: 1, $3}
Y
}
sweep soak '["bash", "./train.sh"]' 'timeout: {silent: 3}, pruner: median'

# Processes of trials as "pid KEY=value" lines. An environment may vanish while it is read.
environments() {
    grep -aozE '^(HPT_TRIAL|HPT_ATTEMPT|HPT_GPU_SHARE|CUDA_VISIBLE_DEVICES|HPT_RUN_DIR)=.*' /proc/[0-9]*/environ \
        2>/dev/null | tr '\0' '\n' | sed 's,^/proc/\([0-9]*\)/environ:,\1 ,' || true
}
# Devices that hold more than 1, with the processes that say so: "device pid pid ...".
overdrawn() {
    awk -v place="$place/hpt_runs/" '
        { eq = index($2, "="); e[$1, substr($2, 1, eq - 1)] = substr($2, eq + 1); pids[$1] = 1 }
        END {
            for (p in pids) {
                if (index(e[p, "HPT_RUN_DIR"], place) != 1 || e[p, "HPT_GPU_SHARE"] == "") continue
                d = e[p, "CUDA_VISIBLE_DEVICES"]; t = e[p, "HPT_RUN_DIR"] " " e[p, "HPT_TRIAL"] " " e[p, "HPT_ATTEMPT"]
                if ((d, t) in seen) continue
                seen[d, t] = 1; sum[d] += e[p, "HPT_GPU_SHARE"]; who[d] = who[d] " " p
            }
            for (d in sum) if (sum[d] > 1.000001) print d who[d]
        }'
}
watch() { # a look counts only if all of its processes live after it: then they lived at once
    local over=0 looks=0 line d p
    trap 'echo "$looks $over" >looks.txt; exit 0' TERM
    while :; do
        line=$(environments | overdrawn | head -n 1)
        looks=$((looks + 1))
        if [ -n "$line" ]; then
            read -r d line <<<"$line"
            for p in $line; do
                [ -n "$(tr -d '\0' <"/proc/$p/environ" 2>/dev/null | head -c 1)" ] || { line=; break; }
            done
            [ -z "$line" ] || { over=$((over + 1)); echo "device $d: $line" >>over.txt; }
        fi
        sleep 0.1
    done
}
told() {
    "$hpt" trials --run hpt_runs/soak --columns number,state,value --format csv 2>/dev/null | tr -d '\r' |
        awk -F, '$2 == "COMPLETE" || $2 == "PRUNED" || $2 == "FAIL"' | sort
}
orphans() { environments | grep -c " HPT_RUN_DIR=$place/hpt_runs/" || true; }

watch &
monitor=$!
: >before.txt
lost=0 kills=0
end=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$end" ]; do
    "$hpt" run soak.yaml -j 64 --trials 1000000 --seed 1 -q >run.txt 2>&1 &
    pid=$!
    sleep 5
    kill -9 "$pid" 2>/dev/null || { echo "soak_sched: hpt run ended by itself: $(cat run.txt)" >&2; exit 1; }
    wait "$pid" 2>/dev/null || true
    kills=$((kills + 1))
    told >after.txt
    lost=$((lost + $(comm -23 before.txt after.txt | wc -l)))
    mv after.txt before.txt
done
total=$("$hpt" trials --run hpt_runs/soak --columns number --format csv | tail -n +2 | wc -l)
"$hpt" run soak.yaml -j 64 --trials "$total" --seed 1 -q >run.txt 2>&1 || { cat run.txt >&2; exit 1; }
told >after.txt
lost=$((lost + $(comm -23 before.txt after.txt | wc -l)))
accounted=$(cut -d, -f1 after.txt | sort -u | wc -l)
started=$("$hpt" trials --run hpt_runs/soak --columns number --format csv | tail -n +2 | wc -l)
lost=$((lost + started - accounted + $(wc -l <after.txt) - accounted))
left=$(orphans)
kill "$monitor" && wait "$monitor" || true
monitor=
read -r looks over <looks.txt

# ---- stops
# shellcheck disable=SC2016 # the trial expands it
sweep stops '["bash", "-c", "if [ $((HPT_TRIAL % 8)) -eq 7 ]; then trap \"\" TERM; fi; echo loss=1; touch $HPT_TRIAL_DIR/up; while :; do sleep 0.2; done"]' 'parallel: 64'
"$hpt" run stops.yaml -j 64 --trials 64 --seed 1 -q >run.txt 2>&1 &
pid=$!
for i in $(seq 0 63); do
    until [ -e "hpt_runs/stops/trials/$(printf %06d "$i")/up" ]; do sleep 0.1; done
done
for i in $(seq 0 63); do
    # Other runs on this machine may have a trial of this number.
    leader=$(environments | awk -v t="HPT_TRIAL=$i" -v d="HPT_RUN_DIR=$place/hpt_runs/stops" '
        $2 == t { trial[$1] = 1 } $2 == d { run[$1] = 1 } END { for (p in trial) if (p in run) print p }' |
        sort -n | head -n 1)
    t0=$(date +%s%N)
    "$hpt" stop "$i" --run hpt_runs/stops >/dev/null
    while [ -d "/proc/$leader" ]; do sleep 0.002; done
    echo "$((i % 8 == 7)) $((($(date +%s%N) - t0) / 1000))"
done >stops.txt
wait "$pid" || true
left=$((left + $(orphans)))
quantile() { # kind, share
    awk -v k="$1" '$1 == k { print $2 }' stops.txt | sort -n | awk -v q="$2" '{ v[NR] = $1 } END { i = int(q * NR + 0.999); printf "%.3f", v[i < 1 ? 1 : i] / 1e6 }'
}
echo "soak_sched: $kills kills in $seconds s, $looks looks"
echo "started $started, accounted $accounted, lost $lost, oversubscribed $over, orphans $left"
echo "stop: median $(quantile 0 0.5) s, 99 % $(quantile 0 0.99) s; deaf to SIGTERM (grace 1 s): median $(quantile 1 0.5) s, longest $(quantile 1 1) s"
"$hpt" trials --run hpt_runs/soak --columns outcome --format csv | tail -n +2 | tr -d '\r' | sort | uniq -c | awk '{ printf "%s %s%s", $2, $1, ORS }' | paste -sd' '
[ ! -s over.txt ] || head -n 3 over.txt >&2
[ "$lost" -eq 0 ] && [ "$over" -eq 0 ] && [ "$left" -eq 0 ]
