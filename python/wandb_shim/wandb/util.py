# SPDX-License-Identifier: Apache-2.0
"""util.py: the few helpers that scripts use."""

import random


def generate_id(length=8):
    return "".join(random.SystemRandom().choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(length))


def make_artifact_name_safe(name):
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in name)
