# SPDX-License-Identifier: Apache-2.0
"""errors.py: the exceptions that training scripts catch."""


class Error(Exception):
    """Base of all of them; also what the shim raises for what it cannot do."""

    def __init__(self, message="", context=None):
        super().__init__(message)
        self.message = message
        self.context = context


class CommError(Error):
    pass


class UsageError(Error):
    pass


class AuthenticationError(CommError):
    pass


class UnsupportedError(UsageError):
    pass


class ConfigError(Error):
    pass


def no_server(what):
    """For calls whose answer only a server could give."""
    return UnsupportedError(
        what + " needs a W&B server, and under `hpt run --wandb-shim` there is none; "
        "guard the call, or run the sweep without --wandb-shim and with the real wandb package"
    )
