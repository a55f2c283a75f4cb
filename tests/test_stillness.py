# SPDX-License-Identifier: Apache-2.0
"""The guard against tests that hang: it fires when nothing moves, and not when the machine is slow."""

from __future__ import annotations

from pathlib import Path

import pytest

PLUGIN = Path(__file__).with_name("stillness.py")


@pytest.fixture(autouse=True)
def guarded_project(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(stillness=PLUGIN.read_text())
    pytester.makeini(
        """
        [pytest]
        addopts = -p stillness -p no:cacheprovider -p no:xdist
        pythonpath = .
        stillness_ticks = 40
        stillness_tick_seconds = 0.05
        """
    )


def test_a_test_that_waits_for_what_never_comes_fails_and_the_next_one_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading

        def test_waits():
            threading.Event().wait()

        def test_next():
            pass
        """
    )
    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*Nothing has moved for 40 ticks of the guard against hanging*"])
    result.stderr.fnmatch_lines(["*in test_waits*"])


def test_a_test_that_cannot_even_fail_ends_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import signal, threading

        def test_waits():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            threading.Event().wait()
        """
    )
    result = pytester.runpytest_subprocess()

    assert result.ret == 1
    result.stderr.fnmatch_lines(["*in test_waits*", "Nothing has moved for 80 ticks*so the run does.*"])


def test_a_machine_that_stands_still_does_not_fire_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, signal, subprocess

        def test_is_stopped():
            subprocess.Popen(["sh", "-c", "sleep 4; while kill -CONT $PPID; do sleep 1; done"])
            os.kill(os.getpid(), signal.SIGSTOP)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize("work", ["sum(range(1000))", "subprocess.run([sys.executable, '-c', 'sum(range(10**5))'])"])
def test_a_test_that_computes_may_take_as_long_as_it_likes(pytester: pytest.Pytester, work: str) -> None:
    pytester.makepyfile(
        f"""
        import subprocess, sys, time

        def test_computes():
            ends = time.monotonic() + 4
            while time.monotonic() < ends:
                {work}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
