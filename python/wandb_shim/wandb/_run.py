# SPDX-License-Identifier: Apache-2.0
"""_run.py: a run: the parameters of the trial as its configuration, log() as lines of the trial protocol.

Steps are W&B's: log(data) writes at the present step and moves on; log(data, commit=False) does not move on;
log(data, step=n) goes to step n (n below the present one: the call is dropped with a warning, as there). A metric for
which define_metric names another x-axis is reported at that axis' value where it is a whole number.

Of what is logged, the sweep's metrics go to the trial's report file at once, one JSON object a line, one write a line:
training never waits. Numbers are what converts to float and is no text: Python's, NumPy's, one-element tensors.

Threads: a lock around log. Processes: who calls init reports; a run that was made with mode="disabled" (other ranks of
a parallel training) reports nothing.
"""

import atexit
import json
import numbers
import os
import sys
import threading
import time

from ._config import Config, Summary, plain_dict
from ._media import Artifact
from .errors import Error, no_server

STEP_KEYS = {"step", "epoch", "iteration", "iter", "_step", "value"}  # of a report line itself


def _json_env(name, default):
    try:
        return json.loads(os.environ.get(name, ""))
    except ValueError:
        return default


def sweep_parameters():
    """The trial's parameters, nested as in the sweep file."""
    path = os.environ.get("HPT_PARAMS_FILE")
    if path:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    path = os.environ.get("WANDB_SWEEP_PARAM_PATH")
    if path and os.path.exists(path):
        from ._config import read_file

        return read_file(path)
    return {}


def to_number(value):
    """The value as int or float, or None if it is no number."""
    if isinstance(value, (bool, int, float)):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, (str, bytes, dict, list, tuple, set)) or value is None:
        return None
    if isinstance(value, numbers.Real):
        return float(value)
    item = getattr(value, "item", None)  # NumPy, PyTorch, JAX; TensorFlow has numpy()
    if item is None and hasattr(value, "numpy"):
        value = value.numpy()
        item = getattr(value, "item", None)
    if not callable(item):
        return None
    try:
        value = item()
    except (TypeError, ValueError, RuntimeError):  # more than one element
        return None
    return to_number(value) if isinstance(value, (bool, int, float)) else None


def flatten(data, prefix=""):
    for key, value in data.items():
        name = prefix + str(key)
        if isinstance(value, dict):
            yield from flatten(value, name + ".")
        else:
            yield name, value


class _Reporter:
    """The trial's report file; without one (a script started by hand) everything is accepted and nothing written."""

    def __init__(self):
        self.path = os.environ.get("HPT_REPORT_FILE")
        self.stop_file = os.environ.get("HPT_STOP_FILE")
        self.metrics = _json_env("HPT_WANDB_METRICS", None)  # names; None: every number is sent
        self.fd = -1

    def write(self, record):
        if not self.path:
            return
        if self.fd < 0:
            self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.write(self.fd, (json.dumps(record) + "\n").encode())

    def wanted(self, name):
        return name in self.metrics if self.metrics is not None else name not in STEP_KEYS

    def should_stop(self):
        return bool(self.stop_file) and os.path.exists(self.stop_file)

    def last_step(self):
        """The largest step that earlier attempts of the trial reported, -1 if none."""
        last = -1
        try:
            with open(self.path or "", encoding="utf-8", errors="replace") as f:
                for line in f:
                    if '"_step"' in line:
                        try:
                            last = max(last, int(json.loads(line)["_step"]))
                        except (ValueError, KeyError, TypeError):
                            pass
        except OSError:
            pass
        return last


class Run:
    def __init__(self, config=None, project=None, entity=None, name=None, group=None, job_type=None, tags=None,
                 notes=None, id=None, dir=None, mode=None, resume=None, config_include_keys=None,
                 config_exclude_keys=None, allow_val_change=None, first_step=0, **unused):
        trial = os.environ.get("HPT_TRIAL")
        self._reporter = _Reporter()
        self.disabled = mode == "disabled"
        self.id = id or os.environ.get("WANDB_RUN_ID") or (("trial" + trial) if trial else "run")
        self.name = name or os.environ.get("WANDB_NAME") or (("trial-" + trial) if trial else "run")
        self.project = project or os.environ.get("WANDB_PROJECT") or os.environ.get("HPT_STUDY") or "uncategorized"
        self.entity = entity or os.environ.get("WANDB_ENTITY") or ""
        self.group = group or os.environ.get("WANDB_RUN_GROUP") or ""
        self.job_type = job_type or os.environ.get("WANDB_JOB_TYPE") or ""
        self.tags = (tags,) if isinstance(tags, str) else tuple(tags or ())
        self.notes = notes
        self.sweep_id = os.environ.get("WANDB_SWEEP_ID") or os.environ.get("HPT_STUDY")
        self.settings = None
        self.offline, self.url, self.sweep_url, self.project_url = True, None, None, None
        self.start_time = time.time()
        self.resumed = bool(resume) and os.environ.get("HPT_RESUME") == "1"
        self._dir = dir
        self._attempts_step = first_step
        if self.resumed:
            self._attempts_step = max(first_step, self._reporter.last_step() + 1)
        self.starting_step = self._attempts_step
        self._step = self._attempts_step
        self._axes = []  # (name or glob, step metric) of define_metric
        self._seen = {}  # last numbers by name
        self._sent = set()
        self._finished = False
        self._warned = False
        self._lock = threading.RLock()
        self.config = Config(sweep_parameters())
        self.config._take_defaults(config, config_include_keys, config_exclude_keys)
        self.summary = Summary()
        self._pid = os.getpid()
        atexit.register(self._at_exit)

    def __repr__(self):
        return "<wandb run '%s' of hpt trial %s>" % (self.name, os.environ.get("HPT_TRIAL", "?"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.finish(0 if kind is None else 1)
        return False

    # ---- reporting
    @property
    def step(self):
        return self._step

    @property
    def path(self):
        return "/".join(p for p in (self.entity, self.project, self.id) if p)

    @property
    def dir(self):
        """A folder of the run's own: scripts write models there."""
        base = self._dir or os.environ.get("HPT_TRIAL_DIR") or os.getcwd()
        path = os.path.join(base, "wandb", "files")
        os.makedirs(path, exist_ok=True)
        return path

    def log(self, data=None, step=None, commit=None, sync=None):
        if self._finished:
            raise Error("log() after finish(); call wandb.init() again")
        if not isinstance(data, dict) and hasattr(data, "keys"):
            data = plain_dict(data, "log's data")
        if not isinstance(data, dict):
            raise ValueError("wandb.log must be passed a dictionary")
        if any(not isinstance(key, str) for key in data):
            raise ValueError("Key values passed to `wandb.log` must be strings.")
        with self._lock:
            self._log(data, step, commit)
        if not self.disabled and self._reporter.should_stop():
            # The pruner, a time limit or the user ended the trial. SIGTERM came at the same moment; who is still here
            # handles or ignores it, and leaves through its own clean-up.
            print("wandb (hpt): the trial was asked to stop", file=sys.stderr)
            raise SystemExit(0)

    def _log(self, data, step, commit):
        if step is not None:
            step = int(step)
            if step < self._step:
                if not self._warned:
                    self._warned = True
                    print("wandb (hpt): step %d is below the present step %d; its data is ignored (steps must not "
                          "decrease)" % (step, self._step), file=sys.stderr)
                return
            self._step = step
        values = {}
        for name, value in flatten(data):
            self.summary._logged(name, value)
            number = to_number(value)
            if number is not None:
                values[name] = self._seen[name] = number
        if not self.disabled:
            self._report(values)
        if commit or (commit is None and step is None):
            self._step += 1

    def _report(self, values):
        lines = {}  # step -> record: metrics may have axes of their own
        for name, number in values.items():
            if self._reporter.wanted(name):
                lines.setdefault(self._axis(name), {})[name] = number
                self._sent.add(name)
        for step, record in lines.items():
            self._reporter.write({"_step": step, **record})

    def _axis(self, name):
        best = None
        for pattern, axis in self._axes:
            if pattern == name:
                best = axis
                break
            if pattern.endswith("*") and name.startswith(pattern[:-1]) and name != axis and best is None:
                best = axis
        value = self._seen.get(best) if best else None
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return int(value) if whole and value >= 0 else self._step

    def define_metric(self, name, step_metric=None, step_sync=None, hidden=None, summary=None, goal=None,
                      overwrite=None, **unused):
        if step_metric is not None:
            self._axes.append((str(name), getattr(step_metric, "name", None) or str(step_metric)))
        return _Metric(str(name))

    def mark_preempting(self):
        """The process is about to be cut off: if it ends with an error, hpt starts the trial again."""
        if not self.disabled:
            self._reporter.write({"preempting": True})

    def finish(self, exit_code=None, quiet=None):
        if self._finished:
            return
        self._finished = True
        if not self.disabled and self._pid == os.getpid():
            self._report_summary()
        _forget(self)

    join = finish

    def _report_summary(self):
        """A metric of the sweep that was never logged but is in the summary: its final value."""
        values = {}
        for name, value in flatten(self.summary.as_dict()):
            number = to_number(value)
            wanted = self._reporter.metrics is not None and self._reporter.wanted(name)
            if wanted and name not in self._sent and number is not None:
                values[name] = number
        self._report(values)

    def _at_exit(self):
        if self._pid == os.getpid():
            self.finish()

    # ---- what needs a dashboard: accepted
    def log_artifact(self, artifact_or_path=None, name=None, type=None, aliases=None, **kwargs):
        return artifact_or_path if isinstance(artifact_or_path, Artifact) else Artifact(name or "", type or "")

    upsert_artifact = finish_artifact = log_artifact

    def log_model(self, path=None, name=None, aliases=None):
        pass

    def link_artifact(self, *args, **kwargs):
        pass

    link_model = log_code = watch = unwatch = alert = display = status = link_artifact

    def save(self, glob_str=None, base_path=None, policy="live"):
        return []

    def to_html(self, *args, **kwargs):
        return ""

    def get_url(self):
        return None

    get_project_url = get_sweep_url = get_url

    def project_name(self):
        return self.project

    # ---- what only a server can answer
    def use_artifact(self, artifact_or_name=None, *args, **kwargs):
        if isinstance(artifact_or_name, Artifact):
            return artifact_or_name
        raise no_server("run.use_artifact")

    def use_model(self, *args, **kwargs):
        raise no_server("run.use_model")

    def restore(self, *args, **kwargs):
        raise no_server("run.restore")


class _Metric:
    def __init__(self, name):
        self.name = name


def _forget(run):
    import wandb

    if wandb.run is run:
        wandb._unset_run(run)
