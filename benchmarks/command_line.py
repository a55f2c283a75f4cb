# SPDX-License-Identifier: Apache-2.0
"""What the commands share: their end on a signal, their table on the terminal, their figures in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.machine import Machine
from benchmarks.processes import ended_as_with_ctrl_c
from benchmarks.tables import Table

INTERRUPTED = 130


def run_command(work: Callable[[], None]) -> int:
    """
    Do a command's work, so that whatever ends it ends its processes too.

    :param work: The work.
    :return: The exit status.
    """
    try:
        with ended_as_with_ctrl_c():
            work()
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing is left running.\n")
        return INTERRUPTED
    return 0


def show(tables: Sequence[Table], machine: Machine) -> None:
    """
    Print tables, and the machine that they are about.

    :param tables: The tables.
    :param machine: The machine.
    """
    for table in tables:
        sys.stdout.write(f"\n{table.text()}")
    sys.stdout.write(f"\nMeasured on: {machine.sentence}\n")
    sys.stdout.flush()


def write_json(file: Path, figures: Mapping[str, Any]) -> None:
    """
    Write all figures, as they were measured.

    :param file: The file; its folder is made where it is missing.
    :param figures: The figures.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def tell_progress(sentence: str) -> None:
    """
    Say on standard error what is going on.

    :param sentence: What.
    """
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
