# SPDX-License-Identifier: Apache-2.0
from .._run import Run  # noqa: F401
