# SPDX-License-Identifier: Apache-2.0
"""What calls have cost: handed in by whoever wants to know, so that a failed call is counted too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """
    A count of calls.

    :param calls: Requests made, each attempt counted.
    :param compute_units: Units billed for them.
    """

    calls: int = 0
    compute_units: int = 0
