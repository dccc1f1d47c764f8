#!/bin/sh
# test_bad_input.sh: wrong arguments, files and folders give one line that names the thing, and the documented status.
. "$(dirname "$0")/cli_lib.sh"

cat >ok.yaml <<'S'
method: random
metric: {name: loss, goal: minimize}
run_cap: 2
command: [sh, -c, 'echo loss=1']
parameters: {x: {min: 0.0, max: 1.0}}
S

fact "arguments that do not exist name the nearest one"
expect 2 "did you mean 'run'" hpt runn
expect 2 "did you mean --trials" hpt run --trial 3
expect 2 "needs a whole number" hpt run ok.yaml --trials many
expect 2 "name one sweep file" hpt run
one_line hpt run ok.yaml --bogus

fact "a sweep file that is not there, or is a folder"
expect 1 "missing.yaml" hpt run missing.yaml
one_line hpt run missing.yaml
expect 1 "$place" hpt run "$place"

fact "nothing is created for a bad sweep file"
printf 'method: magic\n' >bad.yaml
expect 2 "bad.yaml:1" hpt run bad.yaml
[ ! -e hpt_runs ] || fail "  hpt_runs exists"

fact "a program that is missing or not executable is found before anything is created"
sed 's/\[sh, .*/[.\/no-such-program]/' ok.yaml >missing_program.yaml
expect 3 "no-such-program" hpt run missing_program.yaml
one_line hpt run missing_program.yaml
touch plain-file
sed 's/\[sh, .*/[.\/plain-file]/' ok.yaml >not_executable.yaml
expect 3 "plain-file" hpt run not_executable.yaml
[ ! -e hpt_runs ] || fail "  hpt_runs exists"

fact "a file that is no database of ours is refused and stays as it is"
head -c 5000 /dev/urandom >noise.db
before=$(cksum <noise.db)
one_line hpt best --storage sqlite:///noise.db
one_line hpt ask ok.yaml --storage sqlite:///noise.db
same "$(cksum <noise.db)" "$before"
if command -v sqlite3 >/dev/null; then
    sqlite3 other.db 'create table t (a); insert into t values (1)'
    before=$(cksum <other.db)
    one_line hpt ask ok.yaml --storage sqlite:///other.db
    same "$(cksum <other.db)" "$before"
fi

fact "a database that does not exist is not created by reading"
expect 3 "" hpt best --storage sqlite:///nothing.db
[ ! -e nothing.db ] || fail "  nothing.db exists"

fact "no run here"
expect 3 "no run in hpt_runs/latest" hpt best
expect 3 "" hpt stop
expect 3 "" hpt resume

fact "a folder that cannot be written to"
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 500 locked
    expect 1 "locked" hpt run ok.yaml --dir locked/run
else
    # root may write anywhere: a file where the folder should be stops it as well
    touch in_the_way
    expect 1 "in_the_way" hpt run ok.yaml --dir in_the_way/run
fi

fact "a GPU request without GPUs can never fit"
printf '%s\n' 'hpt: {resources: {gpu: 1}}' | cat ok.yaml - >gpu.yaml
expect 2 "gpu" hpt run gpu.yaml
expect 2 "" hpt run ok.yaml --gpus 4xx
one_line hpt devices --gpus 4xx

fact "two runs of one folder at once: the second says so"
sed "s/echo loss=1/sleep 3; echo loss=1/" ok.yaml >slow.yaml
hpt run slow.yaml -q >/dev/null 2>&1 &
first=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e hpt_runs/slow/run.lock ] && [ -e hpt_runs/slow/study.db ] && break; sleep 0.1; done
sleep 0.2
expect 4 "hpt_runs/slow" hpt run slow.yaml
wait "$first"

fact "a full output device is an error"
if [ -e /dev/full ]; then
    hpt help >/dev/full 2>err.txt && fail "  hpt help >/dev/full succeeded"
fi

fact "tell with a wrong trial, state or value"
hpt ask ok.yaml --storage sqlite:///t.db >/dev/null 2>&1
expect 3 "7" hpt tell 7 1.0 --storage sqlite:///t.db
expect 2 "COMPLETE" hpt tell 0 --state finished --storage sqlite:///t.db
expect 2 "" hpt tell 0 --storage sqlite:///t.db
expect 2 "not a number" hpt tell 0 abc --storage sqlite:///t.db

finish
