# SPDX-License-Identifier: Apache-2.0
"""
The guard against a test that hangs: a plugin that asks whether anything still moves, not how late it is.

It counts ticks of its own, of which a machine that stands still makes none, and begins anew when a test gets on or
when this process or one below it computes. So slowness never fails a test, and a lock that nothing releases does.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

import psutil  # type: ignore[import-untyped]  # Airflow brings it; it comes without types
import pytest

WAITING_SHARE = 0.01
"""Processes that use no more of a tick than this only wait."""
SENTENCE = "Nothing has moved for {} ticks of the guard against hanging; the stacks of all threads are on stderr"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("stillness_ticks", "ticks without any movement after which a test fails", default="300")
    parser.addini("stillness_tick_seconds", "seconds of a tick", default="1")


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        return  # the process that only waits for its workers, each of which has a guard of its own
    guard = Guard(int(config.getini("stillness_ticks")), float(config.getini("stillness_tick_seconds")))
    config.pluginmanager.register(guard)
    config.add_cleanup(guard.stop)
    guard.start()


class Guard:
    """Fails the test that stands still, and ends the process where the test does not even fail."""

    def __init__(self, ticks: int, tick_seconds: float) -> None:
        self._ticks, self._tick_seconds = ticks, tick_seconds
        self._stderr = os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2)  # pytest does not capture it yet
        self._has_moved = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="guard against hanging", daemon=True)

    def start(self) -> None:
        signal.signal(signal.SIGUSR1, self._fail)
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()
        os.close(self._stderr)

    def pytest_runtest_logstart(self) -> None:
        self._has_moved = True

    def pytest_runtest_logreport(self) -> None:
        self._has_moved = True

    def _count(self) -> None:
        still, used = 0, self._used_seconds()
        while not self._is_over.wait(self._tick_seconds):
            before, used = used, self._used_seconds()
            is_waiting = abs(used - before) <= WAITING_SHARE * self._tick_seconds
            still = 0 if self._has_moved or not is_waiting else still + 1
            self._has_moved = False
            if still == self._ticks:
                faulthandler.dump_traceback(self._stderr)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            elif still == 2 * self._ticks:
                os.write(self._stderr, f"{SENTENCE.format(still)}. The test did not end, so the run does.\n".encode())
                os._exit(1)

    def _fail(self, signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Python's own signature
        pytest.fail(SENTENCE.format(self._ticks), pytrace=True)

    def _used_seconds(self) -> float:
        """Give the CPU seconds of this process, this thread's aside, and of all below it."""
        used = 0.0
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                times = process.cpu_times()
                used += times.user + times.system
        return used + time.process_time() - time.thread_time()
