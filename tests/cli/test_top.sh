#!/bin/sh
# test_top.sh: `hpt top`: once as text and JSON, while a run goes, after it ended, without one; on a terminal (made by
# script(1)) its keys, its narrow form, and that the terminal is given back however it ends.
. "$(dirname "$0")/cli_lib.sh"
esc=$(printf '\033')

fact "without a run: one line that says what to do"
expect 3 "start one with \`hpt run SWEEP\`" hpt top
one_line hpt top --run nowhere
expect 2 "0.1 to 3600 seconds" hpt top -n 0
expect 2 "--format is table or json" hpt top --once --format csv

# Trials wait for a file: what is shown does not depend on how fast this machine is.
cat >driver.txt <<'S'
gpu GPU-aaaa-1 40960 model=NVIDIA_A100
gpu GPU-bbbb-2 40960 model=NVIDIA_A100
S
export HPT_NVML_PATH="$build/tests/fake/libfake_nvml.so" FAKE_NVML_SCRIPT="$place/driver.txt"
cat >sweep.yaml <<'S'
name: shown
method: random
metric: {name: val_loss, goal: minimize}
run_cap: 6
command: [sh, -c, 'echo step=3 val_loss=$((7 + HPT_TRIAL)); echo $$ >pid$HPT_TRIAL; until [ -e go$HPT_TRIAL ]; do sleep 0.05; done']
parameters: {x: {min: 0.0, max: 1.0}}
hpt: {resources: {cpu: 0.01, gpu: 0.5, gpu_memory: 10GiB}}
S
wait_for() { # TEXT FILE: until it is there
    n=0
    until grep -q -- "$1" "$2" 2>/dev/null; do
        n=$((n + 1))
        [ $n -lt 600 ] || { fail "  '$1' never came into $2: $(tail -c 2000 "$2")"; return 1; }
        sleep 0.05
    done
}
touch go0 # so that one has ended
hpt run sweep.yaml -j 4 --seed 1 >run.txt 2>&1 &
run=$!
for i in 1 2 3 4; do wait_for '[0-9]' pid$i; done
{ cat driver.txt; echo "process GPU-aaaa-1 @$place/pid1 3072"; } >driver2.txt
export FAKE_NVML_SCRIPT="$place/driver2.txt"
until hpt top --format json | grep -q '"state": "running".*"step": 3, "value": 11'; do sleep 0.1; done

fact "once: head, devices and trials; shares as granted, memory as the driver counts it against them"
hpt top --once >once.txt 2>err.txt || fail "  status $?: $(cat err.txt)"
same "$(cat err.txt)" ""
same "$(grep -c "$esc" once.txt)" 0
for text in '^shown: runs for .*up to 4 trials at once$' '^1/6 trials: 1 done, 4 running, 0 pruned, 0 failed[,;] ' '^best val_loss 7 (#0)$' \
    '^gpu:0   \[##########\]  *1   1      3.0 GiB   20 GiB  40 GiB       2$' '^gpu:1   \[##########\]  *1   1          0 B   20 GiB' \
    '^ *1  running *0 *[0-3]  gpu:0 *0.5   0.01  advisory  3.0 GiB/10 GiB .* 3  *8$' '^ *0  done *0 *-  gpu:0 *0.5 .* 7$'; do
    grep -q "$text" once.txt || fail "  no '$text' in: $(cat once.txt)"
done

fact "JSON has the same, exact"
hpt top --format json >once.json
for text in '"study": "shown", "going": true, "answered": true, "running": 4, "complete": 1' '"cap": 6, "slots": 4' '"best": 7, "best_number": 0' \
    '"device": "gpu:0", "capacity": 1, "granted": 1, "memory_bytes": 42949672960, "granted_bytes": 21474836480, "used_bytes": 3221225472, "trials": 2' \
    '"number": 1, "state": "running", "attempt": 0, "slot": [0-3], "device": "gpu:0", "share": 0.5, "cores": 0.01, "tier": "advisory", "gpu_memory_granted": 10737418240, "gpu_memory_used": 3221225472'; do
    grep -q "$text" once.json || fail "  no '$text' in: $(cat once.json)"
done
python3 -c 'import json; d = json.load(open("once.json")); assert len(d["devices"]) == 3 and len(d["trials"]) == 5' || fail "  no JSON"

if command -v script >/dev/null && script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    unset COLUMNS NO_COLOR 2>/dev/null || true
    # on_screen ROWS COLUMNS: hpt top in a terminal of this size; keys go to descriptor 3, what it shows to tty.txt.
    on_screen() {
        rm -f keys tty.txt top.pid
        mkfifo keys
        TERM=xterm script -qefc "stty rows $1 cols $2; echo \$\$ >top.pid; exec hpt top -n 0.2" /dev/null <keys >tty.txt 2>&1 &
        script=$!
        exec 3>keys
        wait_for 'q quit' tty.txt
    }
    ended() { # STATUS: it ends so
        wait $script
        status=$?
        exec 3>&-
        [ "$status" -eq "$1" ] || fail "  ended with $status, not $1: $(tail -c 500 tty.txt)"
    }
    given_back() {
        grep -q "$esc\[?1049h" tty.txt || fail "  no screen of its own"
        tail -c 200 tty.txt | grep -q "$esc\[?25h$esc\[?1049l" || fail "  the terminal is not given back: $(tail -c 200 tty.txt)"
    }

    fact "keys select a trial, and stop it after a question"
    on_screen 24 100
    printf '\033[Bj\033[Akjj' >&3
    third=$(grep '  running' once.txt | sed -n 3p | awk '{ print $1 }')
    wait_for "> *$third  running" tty.txt
    printf s >&3
    wait_for "stop trial $third? y/n" tty.txt
    printf n >&3
    printf s >&3
    printf y >&3
    wait_for "asked trial $third to stop" tty.txt
    wait_for ", 1 pruned, 0 failed" tty.txt
    wait_for " $third  pruned" tty.txt
    printf q >&3
    ended 0
    given_back
    same "$(hpt trials --columns number,state --format csv | grep -c PRUNED)" 1

    fact "a trial that has ended is not asked to stop"
    on_screen 24 100
    printf '\033[F' >&3 # End
    wait_for '> .* done ' tty.txt
    printf s >&3
    wait_for 'does not run here (done): nothing to stop' tty.txt
    printf q >&3
    ended 0

    fact "signals end it and the terminal is given back: SIGTERM as such, Ctrl-C as q"
    on_screen 24 100
    kill -TERM "$(cat top.pid)"
    ended 143
    given_back
    on_screen 24 100
    printf '\003' >&3
    ended 0
    given_back

    fact "on 40 columns and 10 rows nothing wraps or scrolls"
    on_screen 10 40
    printf q >&3
    ended 0
    sed "s/$esc\[[0-9;?]*[A-Za-z]//g" tty.txt | tr -d '\r' | awk 'length($0) > 39 { print; bad = 1 } END { exit bad }' >long.txt || fail "  $(cat long.txt)"
    tr '\n' '\001' <tty.txt | sed "s/$esc\[H/\n/g" | tail -n +2 >frames.txt
    [ "$(awk '{ n = gsub(/\001/, ""); if (n > most) most = n } END { print most }' frames.txt)" -le 9 ] || fail "  more than 10 lines: $(cat -v frames.txt)"

    fact "NO_COLOR is kept; TERM=dumb gets the plain text"
    export NO_COLOR=1
    on_screen 24 80
    printf q >&3
    ended 0
    unset NO_COLOR
    same "$(grep -c "$esc\[[0-9;]*m" tty.txt)" 0
    TERM=dumb script -qec "hpt top" /dev/null </dev/null >tty.txt 2>&1
    same "$(grep -c "$esc" tty.txt)" 0
    grep -q '^best val_loss 7' tty.txt || fail "$(cat tty.txt)"
else
    echo "script(1) cannot make a terminal here: the display on one is not tested"
fi

fact "a run that was stopped leaves trials, and top says how to go on"
kill -TERM $run
wait $run
hpt top --once >left.txt || fail "  status $?"
# shellcheck disable=SC2016 # the text itself has backquotes
for text in 'no run is going; `hpt resume hpt_runs/shown` continues it' ' 4 left, ' '  left *0 '; do
    grep -q "$text" left.txt || fail "  no '$text' in: $(cat left.txt)"
done

fact "after the end: results, shares that were held, and when it was"
touch go1 go2 go3 go4 go5
hpt resume >/dev/null 2>&1
hpt top --run hpt_runs/shown >ended.txt </dev/null || fail "  status $?"
for text in 'no run is going; the last trial ended 0:0' '^6/6 trials: \|^6 trials: ' '  done *1 *-  gpu:' 'best val_loss 7 (#0)'; do
    grep -q "$text" ended.txt || fail "  no '$text' in: $(cat ended.txt)"
done

fact "a study elsewhere and several objectives are shown as well"
cat >two.yaml <<'S'
method: random
metrics: [{name: loss, goal: minimize}, {name: size, goal: maximize}]
run_cap: 3
command: [sh, -c, 'echo loss=$HPT_TRIAL size=$HPT_TRIAL']
parameters: {x: {min: 0.0, max: 1.0}}
S
hpt run two.yaml --storage sqlite:///other.db --dir twodir >/dev/null 2>&1
expect 0 "2 objectives: \`hpt best\` lists the Pareto set" hpt top --run twodir
expect 0 "3 trials: 3 done" hpt top --run twodir
finish
