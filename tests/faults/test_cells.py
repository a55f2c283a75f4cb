# SPDX-License-Identifier: Apache-2.0
"""The matrix itself: it tells a wrong cell, finds a key that is shown in any form, and draws all in one table."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from tests.faults.catalogue import FAULTS, Phase, Turn
from tests.faults.cells import Cell
from tests.faults.expectations import BATCH, LOGS, REINGEST, SINGLE, WATCHER, told_by_trigger
from tests.faults.scene import leaks
from tests.faults.summary import PROPERTY, pytest_terminal_summary, table

KEY = "fault07+key=%&@07~"
RIGHT = Cell("500", "sensor poke", "stays", "Server", "Server")


def told(*cells: Cell) -> list[dict[str, object]]:
    return [{**cell.to_dict(), "is_expected": cell.is_expected, "told": cell.tell()} for cell in cells]


class Reporter:
    """The part of pytest's terminal reporter that prints a section."""

    def __init__(self, *reports: object) -> None:
        self.stats = {"passed": list(reports)}
        self.printed: list[str] = []

    def section(self, title: str) -> None:
        self.printed.append(title)

    def write_line(self, text: str) -> None:
        self.printed.append(text)


class Report:
    """The report of a test that tried cells."""

    when = "call"

    def __init__(self, *cells: Cell) -> None:
        self.user_properties = [("other", 5), (PROPERTY, told(*cells))]


class TestACell:
    def test_it_is_wrong_where_it_shows_something_else(self) -> None:
        cell = Cell("401", "sensor poke", "passes", "Authentication!", "ok")

        assert not cell.is_expected
        assert cell.tell() == "401 (passes) x sensor poke: expected 'Authentication!', was 'ok'"

    def test_it_is_wrong_where_something_else_was_wrong(self) -> None:
        assert not Cell("401", "sensor poke", "passes", "ok", "ok", "the key is shown").is_expected

    @pytest.mark.parametrize(
        "form", [KEY, quote(KEY, safe=""), quote(KEY), base64.b64encode(KEY.encode()).decode()], ids=range(4)
    )
    def test_a_key_is_found_in_any_form_and_not_repeated(self, form: str) -> None:
        (found,) = leaks(KEY, ["nothing here", f"GET /v2/{form}/reingestContract"])

        assert found == "GET /v2/<KEY>/reingestContract"

    def test_no_key_is_no_leak(self) -> None:
        assert leaks(KEY, ["", "GET /v2/***/reingestContract", KEY[:-1]]) == []


class TestExpectations:
    def test_no_single_wait_retries_what_is_the_users_to_mend(self) -> None:
        ends = [SINGLE.end(fault, REINGEST, Phase.STAYS) for fault in FAULTS if fault.turn is Turn.USERS]

        assert ends
        assert all(end and end.endswith("!") for end in ends)

    def test_a_trigger_by_itself_tells_the_same_errors_without_a_word_about_retries(self) -> None:
        (fault,) = (fault for fault in FAULTS if fault.name == "401")

        assert told_by_trigger(SINGLE).end(fault, BATCH, Phase.PASSES) == "Authentication"

    def test_what_cannot_happen_to_an_endpoint_is_no_cell(self) -> None:
        (fault,) = (fault for fault in FAULTS if fault.name == "unknown state")

        assert (WATCHER.end(fault, LOGS, Phase.STAYS), SINGLE.end(fault, REINGEST, Phase.PASSES)) == (None, "ok")


class TestTheTable:
    def test_subjects_that_show_the_same_share_a_column(self) -> None:
        lines = table(told(RIGHT, Cell("500", "sensor reschedule", "stays", "Server", "Server")))

        assert lines[0] == "A: sensor poke; sensor reschedule"
        assert "500  -|Server" in lines

    def test_a_wrong_cell_has_a_column_of_its_own_and_a_line(self) -> None:
        wrong = Cell("500", "sensor deferred", "stays", "Server", "ok")

        lines = table(told(RIGHT, wrong))

        assert "500  -|Server  -|*ok*" in lines
        assert f"WRONG {wrong.tell()}" in lines
        assert lines[-1] == "2 cells, 1 as expected"

    def test_it_is_one_for_all_tests_of_a_run(self) -> None:
        reporter = Reporter(Report(RIGHT), object(), Report(Cell("500", "sensor poke", "passes", "ok", "ok")))

        pytest_terminal_summary(reporter)

        title, text = reporter.printed
        assert title == "fault matrix"
        assert "500  ok|Server" in text
        assert text.endswith("2 cells, 2 as expected")

    def test_a_run_without_cells_prints_none(self) -> None:
        reporter = Reporter(object())

        pytest_terminal_summary(reporter)

        assert reporter.printed == []
