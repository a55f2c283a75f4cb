# SPDX-License-Identifier: Apache-2.0
"""What is read of a process: its memory, files, sockets and threads, as the kernel tells them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dev.benchmarks.soak.sampling import Reading, bytes_in, read_process
from dev.local_airflow.processes import HAS_PROC

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not HAS_PROC, reason="only Linux tells of each process what it has open"),
]


def of_this_process(tasks: int | None = None) -> Reading:
    reading = read_process(os.getpid(), tasks)
    assert reading is not None
    return reading


def test_open_files_and_sockets_are_counted(tmp_path: Path) -> None:
    before = of_this_process()
    with (tmp_path / "file").open("w"), socket.socket(), socket.socket():
        during = of_this_process()
    after = of_this_process()

    assert during.open_files == before.open_files + 3
    assert during.sockets == before.sockets + 2
    assert (after.open_files, after.sockets) == (before.open_files, before.sockets)


def test_threads_are_counted() -> None:
    before, is_over = of_this_process(), threading.Event()
    thread = threading.Thread(target=is_over.wait)
    thread.start()
    try:
        assert of_this_process().threads == before.threads + 1
    finally:
        is_over.set()
        thread.join()


def test_memory_that_is_used_is_counted() -> None:
    before = of_this_process()
    kept = b"x" * 50_000_000

    assert of_this_process().memory >= before.memory + len(kept) - 5_000_000


def test_the_number_of_tasks_is_taken_as_it_was_counted() -> None:
    assert of_this_process(tasks=7).tasks == 7
    assert of_this_process().tasks is None


def test_a_process_that_ended_has_no_reading() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE) as process:
        process.communicate()

    assert read_process(process.pid, None) is None


def test_a_process_that_waits_to_be_reaped_has_no_reading() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # It ended, and nobody has asked how.
        assert process.stdout.read() == b""
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert read_process(process.pid, None) is None


def test_all_files_of_a_folder_count(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"12345")
    (tmp_path / "below" / "more").mkdir(parents=True)
    (tmp_path / "below" / "more" / "two").write_bytes(b"123")

    assert bytes_in(tmp_path) == 8
    assert bytes_in(tmp_path / "nowhere") == 0


def test_a_link_that_leads_nowhere_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(tmp_path / "gone")

    assert bytes_in(tmp_path) == 0
