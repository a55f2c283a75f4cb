# SPDX-License-Identifier: Apache-2.0
"""Refresh jobs as functions of time; no server and no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_alchemy.testing.jobs import Job, JobPlan, Jobs, Report, ask, render_progress
from airflow_provider_alchemy.testing.settings import ProgressForm, Settings

ADDRESS = "0xe9fca552b9eb110c2d170962af740725f71f5644"


def story(moments: Sequence[float], switches: dict[str, Any], **plan: Any) -> list[Report]:
    """Give what calls at some moments learn."""
    job: Job | None = None
    reports = []
    for now in moments:
        job, report = ask(JobPlan(**plan), job, now, Settings(**switches))
        reports.append(report)
    return reports


def test_a_job_reports_its_progress_while_it_runs() -> None:
    reports = story([100, 105, 110, 120, 129.9, 130], {}, queued_seconds=10, running_seconds=20)
    assert [report.progress for report in reports] == [None, None, 0, 50, 99, 100]


RESTART = {"after_finished": "restart"}
DOCUMENTED = {"repeated_state": "already_queried"}
SHORT = {"queued_seconds": 1, "running_seconds": 1}
NEW_STATES = {"queued_state": "warming_up", "running_state": "polishing"}


@pytest.mark.parametrize(
    ("plan", "switches", "moments", "states"),
    [
        (SHORT, {}, [0, 0.5, 1, 2, 9], "queued already_queued in_progress finished finished"),
        (SHORT, DOCUMENTED, [0, 0.5], "queued already_queried"),
        (SHORT, RESTART, [0, 2, 3, 4, 5], "queued finished queued in_progress finished"),
        # A job that ended unseen is reported before a new one starts.
        ({}, RESTART, [0, 50], "in_progress finished"),
        ({"running_seconds": 0}, {}, [7, 8], "finished finished"),
        ({"queued_seconds": 5, "outcome": "does_not_exist"}, RESTART, [0, 9], "does_not_exist does_not_exist"),
        ({**SHORT, "queue_failures": 2}, {}, [0, 1, 2, 3, 4], "queue_failed queue_failed queued in_progress finished"),
        ({**SHORT, "outcome": "queue_failed"}, {}, [0, 0.5, 1, 2], "queued already_queued queue_failed queued"),
        ({**SHORT, **NEW_STATES}, {}, [0, 0.5, 1, 2], "warming_up warming_up polishing finished"),
    ],
)
def test_a_job_reports_what_its_plan_and_the_switches_say(
    plan: dict[str, Any], switches: dict[str, Any], moments: list[float], states: str
) -> None:
    assert [report.state for report in story(moments, switches, **plan)] == states.split()


@pytest.mark.parametrize(
    ("form", "none", "five"),
    [("null", None, None), ("int", None, 5), ("text", None, "5"), ("percent", None, "5%"), ("empty", "", "")],
)
def test_progress_is_written_in_every_form_that_clients_have_seen(
    form: ProgressForm, none: object, five: object
) -> None:
    assert (render_progress(None, form), render_progress(5, form)) == (none, five)


def test_each_network_has_its_jobs_and_a_dry_call_submits_none() -> None:
    jobs = Jobs(JobPlan(queued_seconds=5))
    assert jobs.ask("eth-mainnet", ADDRESS, 0, Settings(), is_dry=True) == Report("queued")
    assert jobs.finished_at("eth-mainnet", ADDRESS, Settings()) is None
    states = [jobs.ask(name, ADDRESS, 0, Settings()).state for name in ("eth-mainnet", "eth-mainnet", "base-mainnet")]
    assert states == ["queued", "already_queued", "queued"]


def test_the_end_of_a_job_is_known_and_follows_its_plan_and_the_speed() -> None:
    jobs = Jobs(JobPlan(queued_seconds=10, running_seconds=20))
    jobs.ask("eth-mainnet", ADDRESS, 100, Settings())
    assert [jobs.finished_at("eth-mainnet", ADDRESS, Settings(speed=speed)) for speed in (1.0, 10.0)] == [130, 103]
    jobs.plans["eth-mainnet", ADDRESS] = JobPlan(running_seconds=2)
    assert jobs.finished_at("eth-mainnet", ADDRESS, Settings()) == 102
    assert jobs.ask("eth-mainnet", ADDRESS, 102, Settings()).state == "finished"
