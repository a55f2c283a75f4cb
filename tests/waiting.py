# SPDX-License-Identifier: Apache-2.0
"""Waiting inside one process: the harness's loop, at the pace of threads and event loops instead of processes."""

from __future__ import annotations

from collections.abc import Callable

from local_airflow.waiting import wait_until


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """
    Wait until a condition holds.

    :param condition: The condition.
    :param seconds: How long it may take.
    """
    wait_until(
        condition,
        deadline_seconds=seconds,
        failure=lambda: "The condition did not come true",
        interval_seconds=0.005,
    )
