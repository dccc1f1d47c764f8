#!/bin/sh
# test_terminal.sh: what `hpt run` shows: on a terminal (made by script(1)), on a narrow one, without colours, in a pipe;
# failures once per kind; text of trials made harmless; the report and tables of studies of every kind.
. "$(dirname "$0")/cli_lib.sh"
HPT_DISABLE_FLAPPING=1
export HPT_DISABLE_FLAPPING
esc=$(printf '\033')

cat >trial.sh <<'S'
#!/bin/sh
case $HPT_TRIAL in
*[37])
    printf 'start\n\033[31mTraceback\033[0m of \033]0;title\007 line %s\n%0300d\n\tValueError: bad\001 %s\n' "$HPT_TRIAL" 7 "$HPT_TRIAL" >&2
    exit 3 ;;
*9) echo "all is lost" ; kill -ABRT $$ ;;
esac
echo "step=1 a_metric_with_quite_a_long_name_that_goes_on_and_on=$((100 - HPT_TRIAL))"
S
chmod +x trial.sh
cat >sweep.yaml <<'S'
name: a_sweep_with_a_rather_long_name_that_somebody_gave_it
method: random
metric: {name: a_metric_with_quite_a_long_name_that_goes_on_and_on, goal: minimize}
run_cap: 40
command: [./trial.sh]
parameters:
  x: {min: 0.0, max: 1.0}
  a_parameter_with_quite_a_long_name_that_goes_on_and_on_and_on: {min: 0.0, max: 1.0}
S

fact "in a pipe: plain lines, no escape sequence, few of them"
hpt run sweep.yaml --dir pipe -j 4 --seed 1 >out.txt 2>err.txt
same "$(cat out.txt err.txt | grep -c "$esc")" 0
[ "$(wc -l <err.txt)" -lt 40 ] || fail "  $(wc -l <err.txt) lines: $(cat err.txt)"

fact "a kind of failure is told once, with the last lines of its log, the rest is counted"
same "$(grep -c 'failed: exit code 3' err.txt)" 1
same "$(grep -c 'SIGABRT' err.txt)" 1
same "$(grep -c '    | ' err.txt)" 5
grep -q '    |  ValueError: bad? 3$' err.txt || fail "$(cat err.txt)"
grep -q '    | Traceback of  line 3$' err.txt || fail "$(cat err.txt)"
grep -q '    | all is lost$' err.txt || fail "$(cat err.txt)"
grep -q '  failed   8 exit code 3, 4 killed by SIGABRT' out.txt || fail "$(cat out.txt)"
awk 'length($0) > 320 { exit 1 }' err.txt || fail "  a line is too long: $(cat err.txt)"

fact "a thousand trials in a pipe are few lines"
cat >fast.yaml <<'S'
method: random
metric: {name: loss, goal: maximize}
run_cap: 300
command: [sh, -c, 'echo loss=$HPT_TRIAL']
parameters: {x: {min: 0.0, max: 1.0}}
S
hpt run fast.yaml -j 4 --seed 1 >out.txt 2>err.txt
[ "$(wc -l <err.txt)" -lt 25 ] || fail "  $(wc -l <err.txt) lines"
grep -q '#299 loss = 299, the best so far' err.txt || fail "  the last best is not told: $(cat err.txt)"

fact "quiet says nothing but the result"
hpt run fast.yaml -q --study quiet --trials 3 >out.txt 2>err.txt
same "$(cat err.txt)" ""

if command -v script >/dev/null && script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    unset COLUMNS NO_COLOR 2>/dev/null || true
    fact "on a terminal: one line redrawn in place, colours; every line of the log is whole"
    TERM=xterm script -qec "stty cols 100 rows 30; hpt run sweep.yaml --dir tty -j 4 --seed 1" /dev/null </dev/null >tty.txt 2>&1
    grep -q "$esc\[K" tty.txt || fail "  nothing is redrawn"
    grep -q "$esc\[31m" tty.txt || fail "  no colour"
    # What stays on the screen: of each line what follows the last carriage return before its end.
    tr -d '\r' <tty.txt | sed "s/.*$esc\[K//; s/$esc\[[0-9;]*m//g" >screen.txt
    grep -q '^#3 failed: exit code 3' screen.txt || fail "$(cat screen.txt)"
    same "$(grep -c 'title' screen.txt)" 0
    same "$(grep -c "$esc" screen.txt)" 0

    fact "on 40 columns the status line never wraps"
    TERM=xterm script -qec "stty cols 40 rows 30; hpt run sweep.yaml --dir narrow -j 4 --seed 1" /dev/null </dev/null >tty.txt 2>&1
    tr '\r' '\n' <tty.txt | grep "^$esc\[K" | sed "s/$esc\[K//; s/$esc\[[0-9;]*m//g" >lines.txt
    [ -s lines.txt ] || fail "  no status line"
    grep -E '[0-9]/40' lines.txt | awk 'length($0) > 39 { print; bad = 1 } END { exit bad }' >long.txt || fail "$(cat long.txt)"

    fact "TERM=dumb and NO_COLOR are kept"
    TERM=dumb script -qec "hpt run fast.yaml --dir dumb --trials 4" /dev/null </dev/null >tty.txt 2>&1
    same "$(grep -c "$esc" tty.txt)" 0
    NO_COLOR=1 TERM=xterm script -qec "hpt run fast.yaml --dir plain --trials 4" /dev/null </dev/null >tty.txt 2>&1
    same "$(grep -c "$esc\[[0-9]*m" tty.txt)" 0

    fact "with no trial done yet the line shows what runs and the newest report"
    cat >slow.yaml <<'S'
method: random
metric: {name: loss}
run_cap: 64
command: [sh, -c, 'echo step=7 loss=0.5; sleep 3']
parameters: {x: {min: 0.0, max: 1.0}}
S
    TERM=xterm script -qec "stty cols 120; timeout -s INT 2 hpt run slow.yaml -j 64" /dev/null </dev/null >tty.txt 2>&1
    grep -q '0/64 trials: 0 done, 64 running' tty.txt || fail "$(cat tty.txt)"
    grep -q 'step 7: 0.5' tty.txt || fail "$(cat tty.txt)"

    fact "where trials ask for GPUs the line shows what is granted"
    { cat slow.yaml; echo 'hpt: {resources: {gpu: 0.75}}'; } >shares.yaml
    HPT_FAKE_DEVICES=2 TERM=xterm script -qec "stty cols 120; timeout -s INT 2 hpt run shares.yaml" /dev/null </dev/null >tty.txt 2>&1
    grep -q '0/64 trials: 0 done, 2 running on 1.5 of 2 GPUs' tty.txt || fail "$(cat tty.txt)"
else
    echo "script(1) cannot make a terminal here: the display on one is not tested"
fi

fact "the report groups failures, shows where and how to go on"
hpt report --run pipe >report.txt || fail "  status $?"
for text in '8 x exit code 3' '4 x killed by SIGABRT' 'e.g. pipe/trials/000003/stderr.log' 'Best configurations' 'How to go on' 'hpt resume pipe' 'a trial   median'; do
    grep -q "$text" report.txt || fail "  no '$text' in: $(cat report.txt)"
done
same "$(grep -c "$esc" report.txt)" 0
cmp -s report.txt pipe/report.txt || fail "  report.txt differs: $(diff report.txt pipe/report.txt)"

fact "several objectives: the trials that no other beats, in best, trials and report"
cat >two.yaml <<'S'
method: custom
metrics: [{name: loss, goal: minimize}, {name: size, goal: maximize}]
run_cap: 6
command: [sh, -c, 'case $HPT_TRIAL in [012]) echo loss=$HPT_TRIAL size=$HPT_TRIAL ;; *) echo loss=3 size=0 ;; esac']
parameters: {x: {min: 0.0, max: 1.0}}
S
expect 0 "3 trials that no other beats" hpt run two.yaml --seed 1
same "$(hpt best --format csv | wc -l)" 4
expect 0 "Pareto set: 3 trials" hpt report
expect 0 'size' hpt trials -n 2
same "$(hpt best --format json | grep -c '"values": \[[012], [012]\]')" 3

fact "trials can be cut, sorted and selected without loading them as text"
same "$(hpt trials --run fast_none -n 2 2>&1 | wc -l)" 1
same "$(hpt trials --run hpt_runs/fast -n 2 | tail -n 1 | awk '{ print $1 }')" 299
same "$(hpt trials --run hpt_runs/fast --sort value -n 1 --format csv | tail -n 1 | cut -d, -f3)" 299
same "$(hpt trials --run pipe --state fail --format json | grep -c '"FAIL"')" 12
same "$(hpt trials --run pipe --state fail --format csv | wc -l)" 13

fact "an empty study reports that it is empty"
hpt ask fast.yaml --storage sqlite:///empty.db >/dev/null 2>&1
hpt tell 0 --state fail --storage sqlite:///empty.db
expect 0 "no reason is recorded" hpt report --storage sqlite:///empty.db
expect 3 "complete" hpt best --storage sqlite:///empty.db
finish
