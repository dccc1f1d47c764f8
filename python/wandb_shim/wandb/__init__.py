# SPDX-License-Identifier: Apache-2.0
"""A small `wandb` for training scripts that run under `hpt run --wandb-shim`: unmodified scripts read their
configuration from the trial's parameters and report their metric to hpt. Nothing is sent anywhere and nothing is kept
for a dashboard. docs/wandb-shim.md lists what works, what is ignored and what raises.

This is not the package of Weights & Biases and shares no code with it; only names and meanings are the same, so that
scripts run. Pure standard library, Python 3.9 or later.
"""

import enum
import os
import sys

from . import errors, plot, util
from ._config import Config  # noqa: F401
from ._media import (  # noqa: F401
    Artifact, Audio, Bokeh, Classes, Graph, Histogram, Html, Image, Inert, JoinedTable, Molecule, Object3D, Plotly,
    Table, Video,
)
from ._run import Run
from .errors import CommError, Error, UsageError, no_server  # noqa: F401

__version__ = "0.22.0+hpt"
HPT_SHIM = True  # how a script can tell


class AlertLevel(enum.Enum):
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Settings:
    """Any settings are accepted; none has a meaning here."""

    def __init__(self, *args, **kwargs):
        self.__dict__.update(kwargs)

    def update(self, *args, **kwargs):
        self.__dict__.update(kwargs)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class _BeforeInit:
    """What wandb.config and wandb.summary are until init was called."""

    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    def _raise(self, *args):
        raise Error("You must call wandb.init() before wandb.%s" % self._name)

    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        self._raise()

    __getitem__ = __setitem__ = __setattr__ = __iter__ = __contains__ = __len__ = _raise


run = None
config = _BeforeInit("config")
summary = _BeforeInit("summary")
_next_step = 0  # where a further run of the same trial goes on


def _unset_run(finished):
    global run, config, summary, _next_step
    _next_step = finished.step
    run = None
    config, summary = _BeforeInit("config"), _BeforeInit("summary")


def init(config=None, reinit=None, mode=None, resume=None, settings=None, **kwargs):
    """The trial as a run. A second call without finish() gives the same run, as in W&B (reinit: a further one)."""
    global run, summary
    if run is not None and not (reinit in (True, "finish_previous", "create_new")):
        if config:
            run.config.update(config)
        return run
    if run is not None:
        run.finish()
    if mode is None:
        mode = getattr(settings, "mode", None) if not isinstance(settings, dict) else settings.get("mode")
    run = Run(config=config, mode=mode, resume=resume, first_step=_next_step, **kwargs)
    globals()["config"] = run.config
    summary = run.summary
    return run


def _of_run(name):
    def call(*args, **kwargs):
        if run is None:
            raise Error("You must call wandb.init() before wandb.%s()" % name)
        return getattr(run, name)(*args, **kwargs)

    call.__name__ = name
    return call


log = _of_run("log")
define_metric = _of_run("define_metric")
log_artifact = _of_run("log_artifact")
log_model = _of_run("log_model")
link_model = _of_run("link_model")
use_artifact = _of_run("use_artifact")
use_model = _of_run("use_model")
mark_preempting = _of_run("mark_preempting")
alert = _of_run("alert")


def save(*args, **kwargs):
    return []


def finish(exit_code=None, quiet=None):
    if run is not None:
        run.finish(exit_code, quiet)


join = finish


def _nothing(*args, **kwargs):
    return None


watch = unwatch = setup = teardown = require = log_code = _nothing
link_artifact = restore_settings = _nothing
plot_table = Inert


def login(*args, **kwargs):
    return True


def ensure_configured():
    pass


def termlog(string="", newline=True, repeat=True, **kwargs):
    print("wandb (hpt): %s" % string, file=sys.stderr, end="\n" if newline else "")


termwarn = termerror = termlog


# ---- what cannot be done here: said at the call, with the remedy


def agent(*args, **kwargs):
    raise errors.UnsupportedError(
        "wandb.agent: this script runs as one trial, and `hpt run` is the agent; put the sweep into a file "
        "(`hpt run sweep.yaml --wandb-shim`) and call the training function directly"
    )


def sweep(*args, **kwargs):
    raise errors.UnsupportedError(
        "wandb.sweep: `hpt run` makes the sweep; write the dictionary into a YAML file, "
        "and start it with `hpt run sweep.yaml --wandb-shim`"
    )


controller = launch = sweep


class Api:
    def __init__(self, *args, **kwargs):
        raise no_server("wandb.Api")


PublicApi = InternalApi = Api


def restore(*args, **kwargs):
    raise no_server("wandb.restore")


def __getattr__(name):
    if name == "sdk":
        import importlib

        return importlib.import_module("wandb.sdk")
    raise AttributeError("the wandb package of `hpt run --wandb-shim` has no '%s' (docs/wandb-shim.md)" % name)
