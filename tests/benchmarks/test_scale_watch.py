# SPDX-License-Identifier: Apache-2.0
"""What the scale benchmark reads of running processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dev.benchmarks.scale.watch import UNASSIGNED, footprint, moved
from dev.local_airflow.processes import HAS_PROC

needs_proc = pytest.mark.skipif(not HAS_PROC, reason="there is no /proc")


def test_only_triggers_that_change_hands_have_moved() -> None:
    before = {1: "1", 2: "1", 3: "1", 4: UNASSIGNED, 5: "1"}
    after = {1: "1", 2: "4", 3: UNASSIGNED, 4: "4", 6: "4"}

    assert moved(before, after) == 1


@needs_proc
def test_an_open_file_is_counted(tmp_path: Path) -> None:
    before = footprint([os.getpid()])
    with (tmp_path / "one").open("w"), (tmp_path / "two").open("w"):
        during = footprint([os.getpid()])

    assert during.open_files == before.open_files + 2
    assert during.memory_bytes > 1_000_000


@needs_proc
def test_a_process_that_has_ended_takes_nothing() -> None:
    gone = 2**22 + 1  # beyond the largest number that Linux gives

    assert footprint([gone]) == footprint([])
