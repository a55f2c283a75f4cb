# SPDX-License-Identifier: Apache-2.0
"""What the commands share: their end on a signal, their table on the terminal, their figures in a file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.machine import Machine, this_machine
from dev.benchmarks.processes import ended_as_with_ctrl_c
from dev.benchmarks.tables import Table

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


def add_options(parser: argparse.ArgumentParser, default: object, options: Mapping[str, str]) -> None:
    """
    Add an option for each field of a scenario, and ``--json``.

    :param parser: The command's parser.
    :param default: The scenario that it takes by default: it gives type and value of each option.
    :param options: Field to what it means.
    """
    for name, what in options.items():
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=what)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")


def run_benchmark(
    name: str,
    measure: Callable[[], Mapping[str, Any]],
    tables: Callable[[dict[str, Any]], Sequence[Table]],
    file: Path | None,
) -> int:
    """
    Measure, print tables, and write the figures where they are wanted.

    :param name: The benchmark.
    :param measure: Measures, and gives JSON values.
    :param tables: Writes them as tables.
    :param file: Where the figures go; None: nowhere.
    :return: The exit status.
    """

    def work() -> None:
        machine = this_machine()
        figures = dict(measure())
        show(tables(figures), machine)
        if file:
            write_json(file, {"machine": asdict(machine), name: figures})

    return run_command(work)


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
