# SPDX-License-Identifier: Apache-2.0
"""Where libraries look for the class of a run."""
from . import lib, wandb_run  # noqa: F401
