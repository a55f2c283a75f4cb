# SPDX-License-Identifier: Apache-2.0
"""Waiting inside one process: the harness's loop, at the pace of threads and event loops instead of processes."""

from __future__ import annotations

from collections.abc import Callable

from local_airflow.waiting import STILL_SECONDS, wait_until


def eventually(condition: Callable[[], object], seconds: float = STILL_SECONDS) -> None:
    """
    Wait until a condition holds.

    :param condition: The condition.
    :param seconds: How long to sleep for it in all; longer on a machine that is busy or stands still.
    """
    wait_until(
        condition, failure=lambda: "The condition did not come true", interval_seconds=0.005, still_seconds=seconds
    )
