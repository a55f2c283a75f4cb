# SPDX-License-Identifier: Apache-2.0
"""
The figures of the cluster's tests, at the end of the run.

A plugin of its own, because the process that prints is not the one that runs the tests: under pytest-xdist it collects
no test, and so loads no conftest of a folder below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.cluster.verdicts import Verdict

ROW, SLOPES, HOME = "scenario on the cluster", "slopes on the cluster", "home of the cluster"
"""The names under which figures, and where the files are, go with a test's report."""

HEAD = ("waits", "wrong", "early", "asked again", "at most", "retries", "seconds")
WIDTH = 13


def row_of(verdict: Verdict, blows: Sequence[str]) -> list[object]:
    """
    Make a scenario's row, of what JSON can carry from a process of pytest to another.

    :param verdict: What came of it.
    :param blows: What happened in it.
    :return: What happened, and the figures in the order of the head.
    """
    return [
        ", ".join(blows),
        verdict.waits,
        len(verdict.wrong),
        len(verdict.early),
        len(verdict.again),
        max(verdict.again.values(), default=0),
        verdict.retries,
        round(verdict.seconds),
    ]


def lines_of(rows: Sequence[Sequence[object]]) -> list[str]:
    """
    Write the table.

    :param rows: The rows.
    :return: Its lines.
    """
    lines = ["".join(f"{head:>{WIDTH}}" for head in HEAD) + "   what happened"]
    lines += ["".join(f"{figure!s:>{WIDTH}}" for figure in row[1:]) + f"   {row[0]}" for row in rows]
    total = [sum(int(str(row[column])) for row in rows) for column in range(1, 4)]
    return [*lines, "".join(f"{figure:>{WIDTH}}" for figure in total) + "   in all"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of the scenarios, and where the logs of a cluster are on which a test failed."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    told = [(name, value) for report in reports for name, value in report.user_properties]
    rows = [value for name, value in told if name == ROW]
    if rows:
        terminalreporter.section("killed on the cluster")
        terminalreporter.write("\n".join(lines_of(rows)) + "\n")
    for table in [value for name, value in told if name == SLOPES]:
        terminalreporter.section("what grew on the cluster")
        terminalreporter.write(table)
    failed = terminalreporter.getreports("failed")
    homes = {value for report in failed for name, value in report.user_properties if name == HOME}
    for home in sorted(homes):
        terminalreporter.write_line(f"The cluster's logs are kept in {home}/process_logs and {home}/logs")
