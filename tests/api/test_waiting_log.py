# SPDX-License-Identifier: Apache-2.0
"""What a wait writes into the log: a line when something changed, and one at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import time_machine

from airflow_provider_alchemy.api import errors

from .waits import LOG, NOW, SUBJECT, look, status, wait_with

Lines = Callable[[int], list[str]]


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Give the lines of one level, without the subject."""
    caplog.set_level(logging.DEBUG, LOG.name)

    def of_level(level: int) -> list[str]:
        records = [record for record in caplog.records if record.levelno == level]
        return [record.getMessage().removeprefix(f"{SUBJECT}: ") for record in records]

    return of_level


def test_a_change_of_the_state_is_one_line(lines: Lines) -> None:
    wait = wait_with()
    for state in ("queued", "queued", "already_queued", "already_queued", "in_progress", "in_progress", "finished"):
        look(wait, state)
    assert lines(logging.INFO) == ["queued", "already_queued", "in_progress", "finished"]


def test_ten_points_of_progress_are_one_line(lines: Lines) -> None:
    wait = wait_with()
    for progress in (0, 3, 9, 10, 11, 19, 20.5, 30, 31, None, 99):
        look(wait, status("in_progress", progress))
    assert lines(logging.INFO) == [
        "in_progress, 0 %",
        "in_progress, 10 %",
        "in_progress, 20.5 %",
        "in_progress, 31 %",
        "in_progress, 99 %",
    ]


def test_every_other_poll_is_for_developers_only(lines: Lines) -> None:
    wait = wait_with()
    for progress in (1, 2, 3):
        look(wait, status("in_progress", progress))
    assert lines(logging.DEBUG) == ["in_progress, progress 2", "in_progress, progress 3"]


def test_a_thousand_polls_without_news_are_one_line(lines: Lines) -> None:
    wait = wait_with()
    for _ in range(1000):
        look(wait, "in_progress")
    assert lines(logging.INFO) == ["in_progress"]


def test_the_progress_that_was_named_last_survives_a_restart(lines: Lines) -> None:
    look(wait_with(state="in_progress", reported_state="in_progress", logged_progress=40), status("in_progress", 45))
    assert lines(logging.INFO) == []


def test_an_unknown_state_is_one_warning_that_names_it(lines: Lines) -> None:
    wait = wait_with()
    for _ in range(5):
        look(wait, "warming_up")
    assert lines(logging.WARNING) == ["unknown state 'warming_up', taken as pending until the deadline"]


def test_each_unknown_state_is_a_warning_of_its_own(lines: Lines) -> None:
    wait = wait_with()
    for state in ("warming_up", "warming_up", "cooling_down"):
        look(wait, state)
    assert [line.split(",")[0] for line in lines(logging.WARNING)] == [
        "unknown state 'warming_up'",
        "unknown state 'cooling_down'",
    ]


def test_both_spellings_of_already_queued_are_one_line(lines: Lines) -> None:
    wait = wait_with()
    for state in ("already_queried", "already_queued", "already_queried"):
        look(wait, state)
    assert lines(logging.INFO) == ["already_queued"]


FINISHED_AT_ONCE = "finished at the first answer: perhaps by a refresh that began earlier (already_finished)"


def test_finished_at_the_first_answer_is_said(lines: Lines) -> None:
    look(wait_with(), "finished")
    assert FINISHED_AT_ONCE in lines(logging.INFO)


def test_finished_after_other_answers_is_not_said_to_be_at_the_first(lines: Lines) -> None:
    wait = wait_with()
    look(wait, "queued")
    look(wait, "finished")
    assert FINISHED_AT_ONCE not in lines(logging.INFO)


def test_a_failed_poll_is_a_warning_that_counts_and_explains(lines: Lines) -> None:
    wait = wait_with()
    look(wait, "queued")
    for _ in range(2):
        look(wait, errors.AlchemyServerError("Alchemy answered HTTP 503", subject=SUBJECT))
    first, second = lines(logging.WARNING)
    assert first.startswith(f"Poll failed (1 in a row), trying again in 60.0 s: {SUBJECT}: Alchemy answered HTTP 503.")
    assert second.startswith("Poll failed (2 in a row)")


def test_a_resubmission_is_a_warning_that_counts(lines: Lines) -> None:
    look(wait_with(max_resubmits=3), "queue_failed")
    (line,) = lines(logging.WARNING)
    assert line.startswith("Alchemy could not queue the refresh (queue_failed); submitting it again in ")
    assert line.endswith(" s (1 of 3)")


def test_each_line_names_the_collection_and_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)
    wait = wait_with(max_resubmits=1)
    for state in ("warming_up", "queue_failed", "queued", "queued", "finished"):
        look(wait, state)
    wait.say_the_end()
    assert len(caplog.records) >= 7
    assert [record.getMessage() for record in caplog.records if SUBJECT not in record.getMessage()] == []


def test_the_last_line_names_state_seconds_polls_and_units(lines: Lines, clock: time_machine.Traveller) -> None:
    wait = wait_with()
    look(wait, "queued")
    clock.shift(90.5)
    look(wait, "finished", calls=3, units=960)
    wait.say_the_end()
    assert lines(logging.INFO)[-1] == "finished after 90.5 s, 4 polls, 1440 compute units"


def test_the_last_line_of_a_wait_without_an_answer_says_so(lines: Lines) -> None:
    wait_with().say_the_end()
    assert lines(logging.INFO) == ["no answer after 0.0 s, 0 polls, 0 compute units"]


def test_the_last_line_counts_from_the_beginning_in_another_process(lines: Lines) -> None:
    wait_with(waiting_since=NOW.subtract(hours=1).isoformat(), state="finished").say_the_end()
    assert lines(logging.INFO) == ["finished after 3600.0 s, 0 polls, 0 compute units"]


def test_without_a_log_the_modules_own_is_used(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    look(wait_with(log=None), "queued")
    assert [record.name for record in caplog.records] == ["airflow_provider_alchemy.api.waiting"]
