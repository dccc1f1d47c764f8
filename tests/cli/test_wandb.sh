#!/bin/sh
# test_wandb.sh: training scripts that call W&B's interface run unchanged under `hpt run --wandb-shim`.
. "$(dirname "$0")/cli_lib.sh"
if ! command -v python3 >/dev/null; then
    echo "python3 is missing: nothing is tested"
    exit 0
fi
mkdir bin
for name in python python3; do ln -s "$(python3 -c 'import sys; print(sys.executable)')" "bin/$name"; done
PATH=$place/bin:$PATH
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
unset PYTHONPATH WANDB_MODE WANDB_API_KEY WANDB_SWEEP_ID WANDB_RUN_ID 2>/dev/null || true

cat >train.py <<'S'
import math

import wandb

run = wandb.init(project="curve", config={"epochs": 6, "lr": 1.0, "optimizer": {"manual": 1}})
cfg = wandb.config
wandb.watch(None, log="all")
for epoch in range(cfg.epochs):
    loss = abs(math.log10(cfg.lr) + 2) + (cfg["optimizer"]["momentum"] - 0.5) ** 2 + 1 / (epoch + 1)
    wandb.log({"epoch": epoch, "train_loss": 0.0, "val_loss": loss, "sample": wandb.Image(None), "note": "text"})
artifact = wandb.Artifact("model", type="model")
run.log_artifact(artifact)
run.summary["final"] = loss
run.finish()
S
cat >sweep.yaml <<'S'
program: train.py
name: curve
method: bayes
metric: {name: val_loss, goal: minimize}
parameters:
  lr: {distribution: log_uniform_values, min: 0.0001, max: 1.0}
  epochs: {value: 5}
  optimizer:
    parameters:
      name: {values: [adam, sgd]}
      momentum: {min: 0.0, max: 1.0}
run_cap: 8
command: ["${env}", "${interpreter}", "${program}"]
S

fact "an unchanged script takes its configuration from the sweep and reports its metric"
expect 0 "8 done" hpt run sweep.yaml --wandb-shim --seed 1
same "$(grep -c val_loss hpt_runs/curve/trials/000000/report.log)" 5

fact "the values are those of the parameters that the study has"
hpt trials -f json >all.json 2>err.txt || fail "$(cat err.txt)"
python3 - all.json <<'S' || fail "  see above"
import json, math, sys
trials = json.load(open(sys.argv[1]))
assert len(trials) == 8, len(trials)
for t in trials:
    p = t["params"]
    want = abs(math.log10(p["lr"]) + 2) + (p["optimizer.momentum"] - 0.5) ** 2 + 1 / 5
    assert t["state"] == "COMPLETE" and abs(t["values"][0] - want) < 1e-12, (t, want)
S

fact "without the option the failure names the remedy"
python3 -c 'import wandb' 2>/dev/null || expect 6 "--wandb-shim" hpt run sweep.yaml --study bare --seed 1

fact "a trial that the pruner stops ends as pruned, whether or not it handles SIGTERM"
cat >slow.py <<'S'
import signal, time
import wandb

with wandb.init() as run:
    if run.config.x >= 0.5:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the next log call is where it ends
    try:
        for epoch in range(100):
            wandb.log({"loss": run.config.x + 1 / (epoch + 1)})
            time.sleep(0.01 if run.config.x == 0 else 0.1)
    except SystemExit:
        open("stopped", "w").close()
        raise
S
cat >prune.yaml <<'S'
program: slow.py
method: grid
metric: {name: loss}
parameters: {x: {values: [0, 0.25, 0.5, 0.75]}}
command: ["${env}", "${interpreter}", "${program}"]
S
expect 0 "" hpt run prune.yaml --wandb-shim -j 1 --pruner median -o median.n_startup=1 -o median.n_warmup=3
pruned=$(hpt trials -f json --state pruned | grep -c '"number"')
[ "$pruned" -ge 2 ] || fail "  $pruned trials were pruned; $output"
[ -e stopped ] || fail "  no script saw SystemExit from log"

fact "the interface around init, config, log and summary behaves as scripts expect"
cat >unit.py <<'S'
import argparse, copy, json, os, sys

import wandb
from wandb.errors import CommError  # noqa: F401

try:
    wandb.config.lr
    sys.exit("config before init")
except wandb.Error as e:
    assert "wandb.init()" in str(e)
try:
    wandb.log({"loss": 1})
    sys.exit("log before init")
except wandb.Error:
    pass
run = wandb.init(config=argparse.Namespace(lr=1.0, batch=32), tags=["a"], notes="n", job_type="train", name="mine")
assert wandb.run is run and run.name == "mine" and run.id and wandb.init() is run
c = wandb.config
assert c.lr == 0.5 and c["lr"] == 0.5 and c.get("lr") == 0.5 and c.get("no", 7) == 7 and "lr" in c and c.batch == 32
c.lr = 3; c["lr"] = 4; c.update({"lr": 5, "new": 1}); c.update(argparse.Namespace(more=2), allow_val_change=True)
c.setdefaults({"new": 9, "other": 3})
assert (c.lr, c.new, c.more, c.other) == (0.5, 1, 2, 3), c
assert dict(c) == dict(**c) == c.as_dict() == copy.deepcopy(c) and sorted(c.keys()) == sorted(k for k in c)
try:
    c.nothing
    sys.exit("missing entry")
except AttributeError as e:
    assert "nothing" in str(e)
assert json.loads(json.dumps(dict(c)))["nested"] == {"a": {"b": 1}}
wandb.define_metric("val", step_metric="epoch")
wandb.define_metric("loss", summary="min")


class Tensor:  # as NumPy's and PyTorch's scalars
    def item(self):
        return 0.75


for i in range(3):
    wandb.log({"loss": 1.0 - i / 4})
assert run.step == 3
wandb.log({"loss": 9.0}, commit=False)
assert run.step == 3
wandb.log({"loss": Tensor(), "epoch": 40, "val": True})
assert run.step == 4
wandb.log({"loss": 0.5}, step=10)
wandb.log({"loss": 0.1}, step=9)
assert run.step == 10 and run.summary["loss"] == 0.5 and run.summary.loss == 0.5
wandb.log({"loss": "text", "a": None, "b": [1, 2], "value": 3.0, "nest": {"x": float("nan")}})
wandb.summary["only"] = 0.125
wandb.run.summary.update({"best": 2})
t = wandb.Table(columns=["a", "b"], data=[[1, 2]])
t.add_data(3, 4)
assert t.get_column("b") == [2, 4] and len(t.data) == 2
a = wandb.Artifact("m", type="model", metadata={"k": 1})
a.add_file(__file__)
with a.new_file("x.txt") as f:
    f.write("text")
assert wandb.log_artifact(a).wait() is a and a.metadata["k"] == 1
for kind in (wandb.Image, wandb.Video, wandb.Audio, wandb.Histogram, wandb.Html, wandb.Object3D):
    wandb.log({"m": kind([1, 2], caption="c")}, commit=False)
wandb.log({"p": wandb.plot.line_series(xs=[1], ys=[[1]])}, commit=False)
wandb.alert(title="t", text="x", level=wandb.AlertLevel.WARN)
wandb.termlog("line"); wandb.login(); wandb.save("*.h5"); wandb.unwatch(); wandb.Settings(silent=True)
assert os.path.isdir(run.dir)
for call in (lambda: wandb.agent("id", function=print), lambda: wandb.sweep({}, project="p"), lambda: wandb.Api(),
             lambda: run.use_artifact("a:latest"), lambda: wandb.restore("x")):
    try:
        call()
        sys.exit("no error")
    except wandb.Error as e:
        assert "hpt" in str(e), e
quiet = wandb.init(mode="disabled", reinit=True)
assert quiet.config.lr == 0.5
quiet.log({"loss": -1.0})
quiet.finish()
wandb.finish()
assert wandb.run is None
S
cat >unit.yaml <<'S'
program: unit.py
method: grid
metric: {name: loss}
parameters: {lr: {value: 0.5}, nested: {parameters: {a: {parameters: {b: {value: 1}}}}}, x: {values: [1]}}
command: ["${env}", "${interpreter}", "${program}"]
S
expect 0 "1 done" hpt run unit.yaml --wandb-shim
cat >want <<'S'
{"_step": 0, "loss": 1.0}
{"_step": 1, "loss": 0.75}
{"_step": 2, "loss": 0.5}
{"_step": 3, "loss": 9.0}
{"_step": 3, "loss": 0.75}
{"_step": 10, "loss": 0.5}
S
cmp -s want hpt_runs/unit/trials/000000/report.log || fail "$(cat hpt_runs/unit/trials/000000/*.log)"

fact "a metric that is only in the summary is the final value; another axis is followed"
cat >only.py <<'S'
import wandb
run = wandb.init()
wandb.define_metric("*", step_metric="epoch")
for e in range(3):
    wandb.log({"epoch": 10 * e, "acc": e / 4}) if run.config.mode == "axis" else wandb.log({"epoch": e})
if run.config.mode != "axis":
    wandb.summary["acc"] = 0.875
S
cat >only.yaml <<'S'
program: only.py
method: grid
metric: {name: acc, goal: maximize}
parameters: {mode: {values: [axis, summary]}}
command: ["${env}", "${interpreter}", "${program}"]
S
expect 0 "acc = 0.875" hpt run only.yaml --wandb-shim -j 1
grep -q '{"_step": 20, "acc": 0.5}' hpt_runs/only/trials/000000/report.log || fail "$(cat hpt_runs/only/trials/000000/*.log)"

fact "a run that announced its preemption and died is started again and goes on with its steps"
cat >preempt.py <<'S'
import os, sys
import wandb

run = wandb.init(resume="allow")
if os.environ["HPT_ATTEMPT"] == "0":
    wandb.log({"loss": 3.0})
    run.mark_preempting()
    sys.exit(7)
assert run.resumed and run.step == 1, run.step
wandb.log({"loss": 2.0})
S
sed 's/only.py/preempt.py/; s/acc, goal: maximize/loss/; s/axis, summary/1/' only.yaml >preempt.yaml
expect 0 "loss = 2 in trial 0" hpt run preempt.yaml --wandb-shim
grep -q '{"_step": 1, "loss": 2.0}' hpt_runs/preempt/trials/000000/report.log || fail "$(cat hpt_runs/preempt/trials/000000/*.log)"

fact "several metrics reach the study from one log call, under their names"
cat >two.py <<'S'
import wandb
run = wandb.init()
wandb.log({"loss": run.config.x, "size": 10 - run.config.x, "other": 1})
S
cat >two.yaml <<'S'
program: two.py
method: custom
metrics: [{name: loss, goal: minimize}, {name: size, goal: minimize}]
parameters: {x: {min: 0.0, max: 10.0}}
run_cap: 4
command: ["${env}", "${interpreter}", "${program}"]
S
expect 0 "4 done" hpt run two.yaml --wandb-shim --seed 1
expect 0 "size" hpt best
same "$(hpt best -f json | grep -c '"number"')" 4

fact "the user's PYTHONPATH is kept behind the package"
mkdir mine && echo 'NAME = 3' >mine/own_module.py
sed 's/^import math/import math, own_module/' train.py >train2.py
sed 's/train.py/train2.py/; s/run_cap: 8/run_cap: 1/' sweep.yaml >path.yaml
expect 0 "1 done" env PYTHONPATH="$place/mine" hpt run path.yaml --study path --wandb-shim

fact "a folder without the package is said before anything starts"
expect 3 "HPT_WANDB_SHIM" env HPT_WANDB_SHIM="$place/mine" hpt run path.yaml --study gone --wandb-shim
[ ! -e hpt_runs/gone ] || fail "  hpt_runs/gone exists"

fact "sweep files as W&B's users write them run as they are"
cat >any.py <<'S'
import json, os
import wandb
run = wandb.init(config={"epochs": 3})
assert len(run.config) > 1
for step in range(2):
    wandb.log({name: 1.0 + step for name in json.loads(os.environ["HPT_WANDB_METRICS"])})
S
n=0
for f in "$source"/tests/data/wandb/*.yaml; do
    hpt check "$f" >/dev/null 2>&1 && grep -q '^metric' "$f" || continue
    name=$(basename "$f" .yaml)
    mkdir -p "as_is/$name" && cp any.py "as_is/$name/" && cp "$f" "as_is/$name/"
    program=$(sed -n 's/^program: *//p' "$f")
    [ -n "$program" ] || continue
    mkdir -p "as_is/$name/$(dirname "$program")" && cp any.py "as_is/$name/$program"
    n=$((n + 1))
    expect 0 "2 done" env -C "as_is/$name" WANDB_PROJECT=p hpt run "$name.yaml" --wandb-shim --trials 2 -j 2
done
[ "$n" -ge 5 ] || fail "  only $n files were tried"
finish
