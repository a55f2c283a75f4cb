# SPDX-License-Identifier: Apache-2.0
"""Tables, for a terminal and for a page, and the way in which a figure is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Table:
    """
    One table: a row for each thing that was measured.

    :param title: What it shows.
    :param columns: The columns' heads; the first one is the rows' names.
    :param rows: The cells, as long as ``columns`` each.
    :param notes: Sentences below it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        """
        Write the table for a terminal.

        :return: Lines, the last one with its end.
        """
        lines = [self.columns, *self.rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        aligned = ["  ".join(map(_place, cells, widths, range(len(widths)))).rstrip() for cells in lines]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([self.title, "", aligned[0], rule, *aligned[1:], *self.notes, ""])

    def markdown(self) -> str:
        """
        Write the table for a page.

        :return: Lines of Markdown, the last one with its end.
        """
        marks = ["---", *["---:"] * (len(self.columns) - 1)]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.columns, marks, *self.rows)]
        notes = [line for note in self.notes for line in ("", note)]
        return "\n".join([f"### {self.title}", "", *lines, *notes, ""])


def _place(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)


def spread(values: Sequence[float], decimals: int = 0) -> str:
    """
    Write a measure that was taken several times.

    :param values: What was measured.
    :param decimals: Digits after the point.
    :return: The median and, where there were several rounds, the lowest and the highest: ``3.4 (3.3 to 3.6)``.
    """
    middle, low, high = (f"{value:,.{decimals}f}" for value in (median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"
