# SPDX-License-Identifier: Apache-2.0
"""Refresh jobs as functions of time; no server and no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_alchemy.testing.jobs import Job, JobBoard, JobPlan, Outcome, Report, ask, render_progress
from airflow_provider_alchemy.testing.settings import ProgressForm, Settings

ADDRESS = "0xe9fca552b9eb110c2d170962af740725f71f5644"


def story(plan: JobPlan, moments: Sequence[float], **switches: Any) -> list[Report]:
    """Give what calls at some moments learn."""
    job: Job | None = None
    reports = []
    for now in moments:
        job, report = ask(plan, job, now, Settings().changed(**switches))
        reports.append(report)
    return reports


def states(plan: JobPlan, moments: Sequence[float], **switches: Any) -> list[str]:
    return [report.state for report in story(plan, moments, **switches)]


def test_a_job_goes_from_queued_over_in_progress_to_finished() -> None:
    plan = JobPlan(queued_seconds=10, running_seconds=20)
    assert story(plan, [100, 105, 110, 120, 129.9, 130]) == [
        Report("queued"),
        Report("already_queued"),
        Report("in_progress", 0),
        Report("in_progress", 50),
        Report("in_progress", 99),
        Report("finished", 100),
    ]


def test_the_documented_spelling_of_a_repeated_call_can_be_chosen() -> None:
    plan = JobPlan(queued_seconds=10)
    assert states(plan, [0, 1], repeated_state="already_queried") == ["queued", "already_queried"]


def test_a_job_without_any_duration_is_finished_at_the_first_call() -> None:
    assert story(JobPlan(running_seconds=0), [7]) == [Report("finished", 100)]


def test_finished_is_reported_again_by_default() -> None:
    assert states(JobPlan(running_seconds=0), [0, 1, 99]) == ["finished"] * 3


def test_finished_can_be_followed_by_a_new_job() -> None:
    plan = JobPlan(queued_seconds=1, running_seconds=1)
    moments = [0, 2, 3, 4, 5]
    assert states(plan, moments, after_finished="restart") == [
        "queued",
        "finished",
        "queued",
        "in_progress",
        "finished",
    ]


def test_a_job_that_ended_unseen_is_reported_before_a_new_one_starts() -> None:
    assert states(JobPlan(), [0, 50], after_finished="restart") == ["in_progress", "finished"]


def test_does_not_exist_is_answered_at_once_and_for_ever() -> None:
    plan = JobPlan(queued_seconds=5, outcome=Outcome.DOES_NOT_EXIST)
    assert story(plan, [0, 9], after_finished="restart") == [Report("does_not_exist")] * 2


def test_a_submission_fails_as_often_as_planned_and_is_then_taken() -> None:
    plan = JobPlan(queued_seconds=1, running_seconds=1, queue_failures=2)
    assert states(plan, [0, 1, 2, 3, 4]) == ["queue_failed", "queue_failed", "queued", "in_progress", "finished"]


def test_a_job_can_fail_when_its_time_in_the_queue_is_over() -> None:
    plan = JobPlan(queued_seconds=3, outcome=Outcome.QUEUE_FAILED)
    assert states(plan, [0, 2, 3, 4]) == ["queued", "already_queued", "queue_failed", "queued"]


def test_a_phase_can_report_a_state_that_no_document_names() -> None:
    plan = JobPlan(queued_seconds=1, queued_state="warming_up", running_state="polishing")
    assert states(plan, [0, 0.5, 1, 2]) == ["warming_up", "warming_up", "polishing", "finished"]


@pytest.mark.parametrize(
    ("form", "none", "five"),
    [("null", None, None), ("int", None, 5), ("text", None, "5"), ("percent", None, "5%"), ("empty", "", "")],
)
def test_progress_is_written_in_every_form_that_clients_have_seen(form: str, none: object, five: object) -> None:
    assert render_progress(None, ProgressForm(form)) == none
    assert render_progress(5, ProgressForm(form)) == five


def test_the_board_tells_networks_apart_and_addresses_without_case() -> None:
    board = JobBoard(JobPlan(queued_seconds=5))
    assert board.ask("eth-mainnet", ADDRESS, 0, Settings()).state == "queued"
    assert board.ask("eth-mainnet", ADDRESS.upper(), 1, Settings()).state == "already_queued"
    assert board.ask("base-mainnet", ADDRESS, 1, Settings()).state == "queued"


def test_a_new_plan_applies_to_a_job_that_is_already_submitted() -> None:
    board = JobBoard(JobPlan(running_seconds=1000))
    board.ask("eth-mainnet", ADDRESS, 0, Settings())
    board.plans["eth-mainnet", ADDRESS] = JobPlan(running_seconds=2)
    assert board.finished_at("eth-mainnet", ADDRESS, Settings()) == 2
    assert board.ask("eth-mainnet", ADDRESS, 2, Settings()).state == "finished"


def test_the_end_of_a_job_is_known_from_its_submission_on_and_scales_with_the_speed() -> None:
    board = JobBoard(JobPlan(queued_seconds=10, running_seconds=20))
    assert board.finished_at("eth-mainnet", ADDRESS, Settings()) is None
    board.ask("eth-mainnet", ADDRESS, 100, Settings())
    assert board.finished_at("eth-mainnet", ADDRESS, Settings()) == 130
    assert board.finished_at("eth-mainnet", ADDRESS, Settings(speed=10)) == 103


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"queued_seconds": -1}, "queued_seconds must be at least 0"),
        ({"running_seconds": "1"}, "running_seconds must be a number"),
        ({"running_seconds": float("nan")}, "running_seconds must be a number"),
        ({"outcome": "done"}, "outcome must be one of finished, does_not_exist, queue_failed"),
        ({"queue_failures": 1.5}, "queue_failures must be a whole number"),
        ({"queued_state": 5}, "queued_state must be a text"),
        ({"que": 5}, "que is not a field here; there are: queued_seconds"),
    ],
)
def test_a_wrong_plan_is_refused_with_a_sentence_that_names_the_field(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        JobPlan.from_fields(fields)
