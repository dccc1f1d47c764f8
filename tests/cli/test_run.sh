#!/bin/sh
# test_run.sh: `hpt run` and the commands that look at its study, as a user would type them.
. "$(dirname "$0")/cli_lib.sh"

cat >train.sh <<'S'
#!/bin/sh
for a in "$@"; do case $a in --x=*) x=${a#--x=} ;; esac; done
awk -v x="$x" 'BEGIN { for (s = 1; s <= 3; s++) printf "step=%d loss=%.6f\n", s, (x - 2) ^ 2 + 1 / s }'
S
chmod +x train.sh
cat >sweep.yaml <<'S'
name: parabola
method: bayes
metric: {name: loss, goal: minimize}
run_cap: 12
command: [./train.sh, "${args}"]
parameters:
  x: {min: -5.0, max: 5.0}
  kind: {values: [plain, fancy]}
  y: {min: 0.0, max: 1.0, hpt:when: {kind: [fancy]}}
S

fact "check shows the space and starts nothing"
expect 0 "kind in {fancy}" hpt check sweep.yaml
[ ! -e hpt_runs ] || fail "  hpt_runs exists"

fact "run ends with the best configuration, a report and a database"
expect 0 "best     loss = " hpt run sweep.yaml --seed 1
[ -f hpt_runs/parabola/study.db ] && [ -f hpt_runs/parabola/report.txt ] || fail "  files are missing"
grep -q 'Best configurations' hpt_runs/parabola/report.txt || fail "  the report has no best configurations"

fact "exactly run_cap trials are in the study and all are finished"
same "$(hpt trials --format json | grep -c '"number"')" 12
same "$(hpt trials --format json | grep -c '"COMPLETE"')" 12

fact "the same command again is done at once and adds nothing"
expect 0 "12 done" hpt run sweep.yaml
same "$(hpt trials --format json | grep -c '"number"')" 12

fact "more trials can be asked for; the study grows"
expect 0 "15 done" hpt run sweep.yaml --trials 15
expect 0 "16 done" hpt resume --trials 16

fact "a report that cannot be written is said with the reason, and the other one is there"
rm hpt_runs/parabola/report.html hpt_runs/parabola/report.txt && mkdir hpt_runs/parabola/report.html
expect 0 "could not write hpt_runs/parabola/report.html: Is a directory" hpt run sweep.yaml
[ -f hpt_runs/parabola/report.txt ] || fail "  report.txt is missing"
rmdir hpt_runs/parabola/report.html

fact "trials as CSV has a header and a line a trial"
same "$(hpt trials --format csv | wc -l)" 17
hpt trials --format csv | head -n 1 | grep -q '^number,value' || fail "  header: $(hpt trials --format csv | head -n 1)"

fact "best agrees with the smallest value in the export"
best=$(hpt best --format json | sed 's/.*"value": \([^,]*\),.*/\1/')
least=$(hpt trials --format csv | tail -n +2 | cut -d, -f2 | sort -g | head -n 1)
awk -v a="$best" -v b="$least" 'BEGIN { exit !(a == b) }' || fail "  best $best, least $least"

fact "export gives JSON that names the study"
expect 0 '"parabola"' hpt export --format json

fact "report prints the failures and where everything is"
expect 0 "Where everything is" hpt report

fact "studies lists the study"
expect 0 "parabola" hpt studies

fact "a changed space is refused with the difference and the remedy"
sed 's/max: 5.0/max: 6.0/' sweep.yaml >changed.yaml
expect 7 "x" hpt run changed.yaml
expect 7 "--study" hpt run changed.yaml
one_line hpt run changed.yaml -q

fact "another study name runs the changed space"
expect 0 "other" hpt run changed.yaml --study other --trials 2 --seed 1

fact "a trial's output is in its folder"
grep -q 'loss=' hpt_runs/parabola/trials/000000/stdout.log || fail "  no loss in stdout.log"

fact "parameters reach the trial as a JSON file too"
grep -q '"x"' hpt_runs/parabola/trials/000000/params.json || fail "  params.json has no x"

fact "a grid ends when every point was tried"
cat >grid.yaml <<'S'
method: grid
metric: {name: loss, goal: minimize}
command: [./train.sh, "${args}"]
parameters:
  x: {values: [1, 2, 3]}
  z: {min: 1, max: 2}
S
expect 0 "6 done" hpt run grid.yaml
expect 0 "x  2" hpt best --run hpt_runs/grid

fact "failing trials are shown with the reason and the last lines of their log, and end the sweep"
cat >broken.yaml <<'S'
method: random
metric: {name: loss, goal: minimize}
run_cap: 20
command: [sh, -c, 'echo cannot open data.bin >&2; exit 3']
parameters: {x: {min: 0.0, max: 1.0}}
S
expect 6 "cannot open data.bin" hpt run broken.yaml
expect 0 "exit code 3" hpt report

fact "ask and tell work from a script"
hpt ask sweep.yaml --storage sqlite:///loop.db -n 2 >asked.txt 2>err.txt || fail "  $(cat err.txt)"
same "$(wc -l <asked.txt)" 2
expect 0 "" hpt tell 0 1.5 --storage sqlite:///loop.db
expect 0 "" hpt tell 1 --state fail --storage sqlite:///loop.db
expect 0 "1.5" hpt best --storage sqlite:///loop.db
expect 1 "finished already" hpt tell 0 2 --storage sqlite:///loop.db

fact "hpt report outside a trial does nothing and succeeds"
expect 0 "" hpt report step=1 loss=0.5

fact "hpt report inside a trial gives the metric"
cat >reporter.yaml <<'S'
method: random
metric: {name: acc, goal: maximize}
run_cap: 2
command: [sh, -c, 'hpt report step=1 acc=0.5 && hpt report step=2 acc=0.75']
parameters: {x: {min: 0.0, max: 1.0}}
S
expect 0 "acc = 0.75" hpt run reporter.yaml

fact "a trial that announces preemption is started again under its number and is not charged"
cat >preempted.yaml <<'S'
method: random
metric: {name: loss, goal: minimize}
run_cap: 2
command: [sh, -c, '[ $HPT_RESUME = 1 ] && echo loss=$HPT_ATTEMPT && exit; hpt report preempting=1; exit 9']
parameters: {x: {min: 0.0, max: 1.0}}
S
expect 0 "2 done, 0 pruned, 0 failed" hpt run preempted.yaml
expect 0 "loss = 1" hpt run preempted.yaml

fact "a trial finds the parameter file of W&B's agent, and W&B offline"
cat >wandb.yaml <<'S'
method: random
metric: {name: loss, goal: minimize}
run_cap: 1
command: [sh, -c, 'grep -q "^.lr.: {.value.: 0" $WANDB_SWEEP_PARAM_PATH && echo loss=${#WANDB_RUN_ID} $WANDB_MODE']
parameters: {lr: {min: 0.0, max: 1.0}}
S
expect 0 "loss = 8" env -u WANDB_MODE -u WANDB_API_KEY hpt run wandb.yaml
grep -q offline hpt_runs/wandb/trials/000000/stdout.log || fail "  $(cat hpt_runs/wandb/trials/000000/stdout.log)"

fact "output beyond run.log_limit is left out, its metrics are not"
cat >loud.yaml <<'S'
method: random
metric: {name: loss, goal: minimize}
run_cap: 1
command: [sh, -c, 'yes noise | head -c 9000000; echo; echo loss=3; yes noise | head -c 9000000']
parameters: {x: {min: 0.0, max: 1.0}}
S
expect 0 "loss = 3" hpt run loud.yaml -o run.log_limit=1
[ "$(wc -c <hpt_runs/loud/trials/000000/stdout.log)" -lt 2000000 ] || fail "  $(ls -l hpt_runs/loud/trials/000000)"

fact "an option that nothing reads is told"
expect 0 "tpe.n_startup had no effect" hpt run loud.yaml --study quiet -o run.log_limit=1 -o tpe.n_startup=3

fact "devices declared for tests are listed"
expect 0 "gpu:1" env HPT_FAKE_DEVICES=2x40GiB hpt devices

fact "devices -v lists the engine's backends, exactly one of them taken, in every format"
for format in table json csv; do
    expect 0 "plain loops" hpt devices --verbose --format $format
    same "$(hpt devices -v --format $format | grep -c taken)" 1
done
same "$(hpt devices -v --format csv | head -1 | tr -d '\r')" "backend,available,hardware,library,memory,auto"
expect 0 "HPT_DEVICE is 'ref'" env HPT_DEVICE=ref hpt devices -v
expect 2 "xml" hpt devices -v --format xml

fact "docs/options.md is what the options table says"
hpt help options --markdown | cmp -s - "$source/docs/options.md" || fail "  run: hpt help options --markdown > docs/options.md"

fact "every command explains itself"
for command in run resume check ask tell serve stop best trials studies export report devices; do
    expect 0 "usage: hpt $command" hpt "$command" --help
done

finish
