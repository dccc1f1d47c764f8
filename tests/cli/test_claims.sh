#!/bin/bash
# test_claims.sh: two `hpt run` of one user share the GPUs of a machine.
# shellcheck source=tests/cli/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
unset HPT_CLAIMS_DIR
export HPT_DISABLE_FLAPPING=1 HPT_FAKE_DEVICES=1

# sweep NAME SHARE SCRIPT
sweep() {
    printf '%s' "$3" >"$1.sh"
    cat >"$1.yaml" <<Y
name: $1
method: random
metric: {name: loss, goal: minimize}
command: [bash, $place/$1.sh]
parameters: {x: {min: 0.0, max: 1.0}}
hpt: {resources: {gpu: $2, cpu: 0.01}, grace: 1}
Y
}
# wait_for TEXT FILE: until the file has the text, at most a minute.
wait_for() {
    for _ in $(seq 1 600); do
        grep -q -- "$1" "$2" 2>/dev/null && return
        sleep 0.1
    done
    fail "  '$1' does not come in $2: $(cat "$2")"
}

fact "declared GPUs are each run's own: two runs hold the same one at once"
sweep first 1 'echo up >>first.txt; until [ -e second.txt ]; do sleep 0.05; done; echo loss=1'
sweep second 1 'echo up >>second.txt; echo loss=1'
hpt run first.yaml --trials 1 -q >first.log 2>&1 &
pid=$!
wait_for up first.txt
expect 0 "" timeout 60 hpt run second.yaml --trials 1 -q
wait "$pid" || fail "$(cat first.log)"
rm -rf first.txt second.txt hpt_runs

fact "with HPT_CLAIMS_DIR they are shared: the second run waits, says for whom, and starts when the first is killed"
export HPT_CLAIMS_DIR=$place/claims
sweep first 1 'echo up >>first.txt; sleep 600'
hpt run first.yaml --trials 1 -q >first.log 2>&1 &
pid=$!
wait_for up first.txt
hpt run second.yaml --trials 1 >second.log 2>&1 &
other=$!
wait_for "waits for room on GPUs that other runs have: $place/hpt_runs/first (process $pid) has 1" second.log
[ ! -e second.txt ] || fail "  the second run's trial has started"
same "$(stat -c %a claims)" 700
kill -9 "$pid"
wait "$other" || fail "$(cat second.log)"
[ -e second.txt ] || fail "  the second run's trial has not started: $(cat second.log)"
same "$(ls claims)" lock

fact "a run that cannot keep its claims says so once and goes on"
rm -f second.txt
mkdir open && chmod 777 open
expect 0 "GPUs are not shared with other runs of yours from here on: '$place/open': the folder is not this user's alone" \
    env HPT_CLAIMS_DIR="$place/open" hpt run second.yaml --dir other --trials 3
same "$(printf '%s\n' "$output" | grep -c 'not shared')" 1
same "$(wc -l <second.txt)" 3

# Each trial notes when it begins and ends. A trial of a killed run that had not ended ends with its run: what was noted of
# the time is before the kill, so that nobody can have its share earlier.
fact "the shares of two runs never exceed a device, also when one is killed at any moment and started again"
rm -rf hpt_runs
export HPT_FAKE_DEVICES=3x10GiB LIFE=0
# shellcheck disable=SC2016 # the trial expands it
note='now() { date +%s%N; }
echo "$(now) $LIFE $HPT_STUDY.$HPT_TRIAL.$HPT_ATTEMPT $CUDA_VISIBLE_DEVICES $HPT_GPU_SHARE" >>log
sleep 0.0$((RANDOM % 90 + 10))
echo "$(now) $LIFE $HPT_STUDY.$HPT_TRIAL.$HPT_ATTEMPT" >>log
echo loss=1'
sweep a 0.5 "$note"
sweep b 0.3 "$note"
hpt run b.yaml --trials 600 -q >b.log 2>&1 &
other=$!
for LIFE in 1 2 3 4; do
    hpt run a.yaml --trials 600 -q >a.log 2>&1 &
    pid=$!
    sleep 0.$((RANDOM % 5 + 3))
    echo "$(date +%s%N) $LIFE" >>log
    kill -9 "$pid" 2>/dev/null || fail "  run a has ended by itself: $(cat a.log)"
    wait "$pid" 2>/dev/null || true
done
LIFE=5
hpt run a.yaml --trials 600 -q >a.log 2>&1 || fail "$(cat a.log)"
wait "$other" || fail "$(cat b.log)"
events() {
    awk 'NF == 2 { kill[$2] = $1 }
         NF == 5 { begin[$3] = $1; life[$3] = $2; device[$3] = $4; share[$3] = $5 }
         NF == 3 { end[$3] = $1 }
         END {
             for (id in begin) {
                 last = id in end ? end[id] : kill[life[id]]
                 if (length(last) < length(begin[id]) || (last "") < (begin[id] "")) last = begin[id]
                 print begin[id], device[id], share[id]
                 print last, device[id], -share[id]
             }
         }' log | sort -k1,1 -k3,3g
}
same "$(events | awk '{ sum[$2] += $3; n++; over += sum[$2] > 1.000001 }
    END { print over + 0, (n >= 2400) }')" "0 1"
same "$(ls claims)" lock
finish
