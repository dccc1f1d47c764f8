# SPDX-License-Identifier: Apache-2.0


class RunDisabled:
    """Libraries ask whether a run is one of these; none is."""
