#!/bin/sh
# soak_kill.sh: kills `hpt run` with SIGKILL at N random instants and checks after each that nothing is lost.
#
#   bench/soak_kill.sh [N] [path of hpt]
#
# After each kill every trial that was told before is still told with the same value; after the last run the study
# holds exactly run_cap trials, each once, and no process of a trial is left.
set -eu
kills=${1:-50}
hpt=${2:-$(dirname "$0")/../build/release/bin/hpt}
hpt=$(realpath "$hpt")
place=$(mktemp -d)
trap 'cd /; rm -rf "$place"' EXIT
cd "$place"
cap=$((kills * 25 + 40))
cat >train.sh <<'S'
#!/bin/sh
sleep 0.08 &
wait
echo "step=1 loss=$HPT_PARAM_X"
S
chmod +x train.sh
cat >soak.yaml <<S
name: soak
method: random
metric: {name: loss, goal: minimize}
run_cap: $cap
command: ["$place/train.sh"]
parameters: {x: {min: 0.0, max: 1.0}}
S

# Told trials so far, as "number value" lines, from a reader of its own.
told() {
    "$hpt" trials --run hpt_runs/soak --format csv 2>/dev/null | awk -F, 'NR > 1 && $0 ~ /COMPLETE/ { print $1, $2 }'
}

fail() {
    echo "soak_kill: FAILED: $*" >&2
    exit 1
}

: >before.txt
i=0
while [ "$i" -lt "$kills" ]; do
    "$hpt" run soak.yaml -j 4 --seed 1 -q >run.txt 2>&1 &
    pid=$!
    # 0.02 to 0.42 s: before the study exists, while it is created, in the middle of trials
    sleep "$(awk -v s="$i$$" 'BEGIN { srand(s); printf "%.3f", 0.02 + 0.4 * rand() }')"
    kill -9 "$pid" 2>/dev/null || fail "hpt run ended by itself: $(cat run.txt)"
    wait "$pid" 2>/dev/null || true
    i=$((i + 1))
    [ -f hpt_runs/soak/study.db ] || continue
    told >after.txt
    # every trial told before the kill is still told, with the same value
    sort before.txt >a && sort after.txt >b
    [ -z "$(comm -23 a b)" ] || fail "kill $i lost told trials: $(comm -23 a b | head -n 3)"
    mv after.txt before.txt
done

"$hpt" run soak.yaml -j 4 --seed 1 -q >run.txt 2>&1 || fail "the last run: $(cat run.txt)"
told >after.txt
[ "$(wc -l <after.txt)" -eq "$cap" ] || fail "$(wc -l <after.txt) trials told, not $cap"
[ "$(cut -d' ' -f1 after.txt | sort -u | wc -l)" -eq "$cap" ] || fail "a number appears twice"
sleep 0.2
left=$(pgrep -f "$place/train.sh" || true)
[ -z "$left" ] || fail "processes of trials are left: $left"
echo "soak_kill: $kills kills, $cap trials, lost 0, doubled 0, left over 0"
