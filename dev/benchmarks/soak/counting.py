# SPDX-License-Identifier: Apache-2.0
"""
How many asyncio tasks the runner of each triggerer has: written down by its event loop, read by the soak.

Nobody outside a process can count its tasks, and a thread inside would be one more thread than there is. So the event
loop counts them itself, every two seconds, and writes the number into a file that has the process's number for a name.

Airflow's processes import this module, so it imports nothing that they do not have anyway.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

TRIGGERER = "triggerer"
"""Airflow's command."""
FOLDER = "soak_tasks"
COUNT_SECONDS = 2.0
LOCAL_SETTINGS = Path(__file__).parent / "local_settings"


class CountingPolicy(asyncio.DefaultEventLoopPolicy):
    """
    Make event loops that count their tasks.

    :param folder: Where the numbers go.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Make an event loop; it begins to count when it runs."""
        loop = super().new_event_loop()
        loop.call_soon(self._count, loop)
        return loop

    def _count(self, loop: asyncio.AbstractEventLoop) -> None:
        # A full disk, say, must not end the triggerer: the soak then says that nothing was counted.
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            # Some ten microseconds each.
            (self._folder / str(os.getpid())).write_text(str(len(asyncio.all_tasks(loop))), encoding="utf-8")
        loop.call_later(COUNT_SECONDS, self._count, loop)


def count_tasks_of_triggerers() -> None:
    """In a process of a triggerer: let the event loops that are made from now on count their tasks."""
    if TRIGGERER in sys.argv:
        asyncio.set_event_loop_policy(CountingPolicy(Path(os.environ["AIRFLOW_HOME"]) / FOLDER))


def counting_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """
    Say what an Airflow needs in its environment for its triggerers to count.

    :param outer: This process's environment.
    :return: One variable: ``PYTHONPATH``, with what it had before.
    """
    # The project too: a DAG file and the counting import this package.
    folders = [str(LOCAL_SETTINGS), str(LOCAL_SETTINGS.parents[3]), *filter(None, [outer.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(folders)}


def counted_tasks(home: Path, pid: int) -> int | None:
    """
    Read how many tasks a process has.

    :param home: Airflow's home folder.
    :param pid: The process.
    :return: The number; None where it does not count.
    """
    try:
        return int((home / FOLDER / str(pid)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # No triggerer's runner, or it is writing just now.
        return None
