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

fact "every command that reads a study refuses the same things with one line and the documented status"
mkdir folder.db
: >empty.db
echo "just text" >text.db
hpt ask ok.yaml --storage sqlite:///good.db >/dev/null 2>&1
for command in best trials studies report export ask "tell 0 1"; do
    for case in "2 folder.db" "3 empty.db" "7 text.db" "3 missing.db" "3 no/such/folder/x.db"; do
        # shellcheck disable=SC2086 # words, on purpose
        set -- $case
        # shellcheck disable=SC2086
        expect "$1" "$2" hpt $command --storage "sqlite:///$2"
        # shellcheck disable=SC2086
        one_line hpt $command --storage "sqlite:///$2"
    done
    # shellcheck disable=SC2086
    expect 2 "mysql" hpt $command --storage mysql://host/db
    [ "$command" = studies ] && continue
    # shellcheck disable=SC2086
    expect 3 "nothere" hpt $command --storage sqlite:///good.db --study nothere
done
[ ! -e missing.db ] && [ ! -e no ] || fail "  something was created"
same "$(wc -c <empty.db)" 0

fact "formats and arguments that a command does not have"
for command in best trials studies devices "check ok.yaml"; do
    # shellcheck disable=SC2086
    expect 2 "xml" hpt $command --format xml
done
expect 2 "xml" hpt export --format xml --storage sqlite:///good.db
for command in best trials studies devices version; do
    expect 2 "surplus" hpt "$command" surplus
    one_line hpt "$command" surplus
done
expect 0 "usage: hpt version" hpt version --help

fact "numbers out of range are refused before anything starts"
for arguments in "-j 0" "-j -1" "-n 0" "-t 0" "-t -1" "-t nan" "-t 1e999" "-j 1.5" "-n 99999999999999999999" "--seed x"; do
    # shellcheck disable=SC2086
    expect 2 "" hpt run ok.yaml --dir range $arguments
    # shellcheck disable=SC2086
    one_line hpt run ok.yaml --dir range $arguments
done
[ ! -e range ] || fail "  the folder was created"
expect 2 "at least 1" hpt trials -n -3 --storage sqlite:///good.db
expect 2 "" hpt ask ok.yaml -n 0 --storage sqlite:///good.db
expect 2 "" hpt stop -- -1
expect 2 "" hpt stop 99999999999999999999

fact "names of samplers, pruners and options that do not exist are named with those that do"
expect 2 "random" hpt run ok.yaml --dir names --sampler nosuch
expect 2 "median" hpt run ok.yaml --dir names --pruner nosuch
expect 2 "nosuch" hpt run ok.yaml --dir names -o nosuch=1
expect 2 "key=value" hpt run ok.yaml --dir names -o nosuch

fact "control characters in arguments and files reach the terminal as question marks"
escape=$(printf 'a\033[31mb\007.yaml')
hpt check "$escape" >/dev/null 2>err.txt
grep -q 'No such file or directory' err.txt || fail "$(cat err.txt)"
same "$(LC_ALL=C tr -d '\n -~' <err.txt | wc -c)" 0
hpt "no$(printf '\033')command" >/dev/null 2>err.txt
same "$(grep -c "$(printf '\033')" err.txt)" 0

finish
