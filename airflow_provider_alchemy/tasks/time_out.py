# SPDX-License-Identifier: Apache-2.0
"""
Airflow's ``execution_timeout`` in a worker, made to come again where Python has lost it.

Airflow ends a task whose time is over with an exception out of a signal, once. Python raises it in whatever line the
main thread runs. Where that is a callback that the garbage collector calls, Python prints the exception and forgets it
(https://docs.python.org/3/library/sys.html#sys.unraisablehook): the task would go on without a limit.
"""

from __future__ import annotations

import signal
import threading
from datetime import timedelta

AGAIN_SECONDS = 15.0
"""How long after a time-out the next one comes: longer than a task that heard the first one needs to leave."""


def repeat_time_out(execution_timeout: timedelta | None) -> None:
    """
    Let Airflow's timer ring again and again after its time; Airflow stops it where it leaves the task.

    :param execution_timeout: The task's; without one Airflow has set no timer, and a timer that rings is not Airflow's.
    """
    if execution_timeout is None or threading.current_thread() is not threading.main_thread():
        return
    left_seconds, _ = signal.getitimer(signal.ITIMER_REAL)
    if left_seconds:
        signal.setitimer(signal.ITIMER_REAL, left_seconds, AGAIN_SECONDS)
