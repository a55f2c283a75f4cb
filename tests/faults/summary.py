# SPDX-License-Identifier: Apache-2.0
"""
The table of the matrix, at the end of the run that tried it.

A plugin of its own, because the process that prints is not the one that tries the cells: under pytest-xdist it collects
no test, and so loads no conftest of a folder below.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

PROPERTY = "fault_cells"
"""The name under which a test's cells go with its report."""

_SHORT = {
    "Authentication": "Auth",
    "UnexpectedAnswer": "Unexpected",
    "EndpointGone": "Gone",
    "ContractsFailed": "Contracts",
    "TokensFailed": "Tokens",
}
"""Names of exceptions in the table."""

_REASONS = re.compile(r"\([a-z_,]*\)")
"""Which the failing test tells, and the table has no room for."""

CellDict = dict[str, Any]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table where cells were tried."""
    cells = list(_cells(terminalreporter.stats.values()))
    if cells:
        terminalreporter.section("fault matrix")
        terminalreporter.write_line("\n".join(table(cells)))


def _cells(stats: Iterable[Iterable[Any]]) -> Iterator[CellDict]:
    for reports in stats:
        for report in reports:
            for name, cells in getattr(report, "user_properties", ()):
                if name == PROPERTY and getattr(report, "when", "call") == "call":
                    yield from cells


def table(cells: list[CellDict]) -> list[str]:
    """
    Draw the matrix: a row for each fault, a column for all subjects that showed the same throughout.

    :param cells: The cells, as ``Cell.to_dict`` gave them.
    :return: Its lines.
    """
    faults = list(dict.fromkeys(cell["fault"] for cell in cells))
    shown: defaultdict[str, defaultdict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for cell in cells:
        shown[cell["subject"]][cell["fault"]][cell["phase"]] = _mark(cell)
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for subject, by_fault in shown.items():
        alike[tuple(_both(by_fault[fault]) for fault in faults)].append(subject)
    columns = [(chr(ord("A") + at), column, names) for at, (column, names) in enumerate(alike.items())]
    rows = [["", *(letter for letter, _, _ in columns)]]
    rows += [[fault, *(column[at] for _, column, _ in columns)] for at, fault in enumerate(faults)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    wrong = [cell for cell in cells if not cell["is_expected"]]
    return [
        *(f"{letter}: {'; '.join(names)}" for letter, _, names in columns),
        "",
        *lines,
        "",
        "left of |: the fault passes after two calls; right: it stays. !: Airflow does not retry. -: cannot happen",
        *(f"WRONG {cell['told']}" for cell in wrong),
        f"{len(cells):,} cells, {len(cells) - len(wrong):,} as expected",
    ]


def _mark(cell: CellDict) -> str:
    name = _REASONS.sub("", str(cell["shown"]).partition("\n")[0][:40])
    bare = name.rstrip("!")
    text = _SHORT.get(bare, bare) + name[len(bare) :]
    return text if cell["is_expected"] else f"*{text}*"


def _both(by_phase: dict[str, str]) -> str:
    ends = [by_phase.get(phase, "-") for phase in ("passes", "stays")]
    return ends[0] if ends[0] == ends[1] else "|".join(ends)
