# SPDX-License-Identifier: Apache-2.0
"""How tables and figures are written."""

from __future__ import annotations

import pytest

from dev.benchmarks.tables import Table, spread

TABLE = Table("Polls", ("trigger", "polls", "CPU"), [("A", "1,000", "3.4"), ("Longer", "5", "0.7")], ["Three rounds."])


def test_a_table_for_a_terminal_is_aligned() -> None:
    assert TABLE.text() == (
        "Polls\n\ntrigger  polls  CPU\n-------------------\nA        1,000  3.4\nLonger       5  0.7\nThree rounds.\n"
    )


def test_a_table_for_a_page_is_markdown() -> None:
    assert TABLE.markdown() == (
        "### Polls\n"
        "\n"
        "| trigger | polls | CPU |\n"
        "| --- | ---: | ---: |\n"
        "| A | 1,000 | 3.4 |\n"
        "| Longer | 5 | 0.7 |\n"
        "\n"
        "Three rounds.\n"
    )


@pytest.mark.parametrize(
    ("values", "decimals", "text"),
    [
        ([4000], 0, "4,000"),
        ([3.0, 1.0, 2.0], 1, "2.0 (1.0 to 3.0)"),
        ([5.0, 5.0, 5.0], 2, "5.00"),
        ([1.001, 1.002], 1, "1.0"),
    ],
)
def test_a_measure_is_its_median_and_how_far_the_rounds_lie_apart(
    values: list[float], decimals: int, text: str
) -> None:
    assert spread(values, decimals) == text
