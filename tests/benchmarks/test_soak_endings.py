# SPDX-License-Identifier: Apache-2.0
"""Whether a wait of a soak ended as it had to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from dev.benchmarks.soak.endings import trouble_with
from dev.benchmarks.soak.kinds import Ending
from dev.benchmarks.soak.plans import Plan
from dev.local_airflow import DagRun
from tests.benchmarks.soak_runs import ScriptedRun

STARTED = 1_000.0
PLAN = Plan({}, earliest_seconds=10.0, is_right=lambda result: bool(result["state"] == "finished"))
WELL = ScriptedRun("soak_sensor", "run_1", answer="success", ended_at=1_010.0, result={"state": "finished"})
FAILED = ScriptedRun("soak_sensor", "run_1", answer="failed", ended_at=1_010.0, log="queue_failed")


def trouble(run: ScriptedRun, ending: Ending | None = None, plan: Plan = PLAN) -> str | None:
    return trouble_with(cast("DagRun", run), run.answer, ending or Ending(), plan, STARTED)


def test_a_good_end_is_no_trouble() -> None:
    assert trouble(WELL) is None


def test_a_failure_that_is_meant_is_no_trouble() -> None:
    assert trouble(FAILED, Ending("failed", "queue_failed"), replace(PLAN, is_right=None)) is None


def test_a_failure_for_another_reason_is_trouble() -> None:
    other = replace(FAILED, log="line\nKeyError: 'x'")

    assert trouble(other, Ending("failed", "queue_failed"), replace(PLAN, is_right=None)) == (
        "run run_1 failed for another reason than 'queue_failed': KeyError: 'x'"
    )


def test_a_success_that_should_have_failed_is_trouble() -> None:
    assert trouble(WELL, Ending("failed", "queue_failed")) == (
        "run run_1 ended as 'success', not as 'failed': "
        "its log is empty: Airflow gave it up before it began, as the scheduler's log says."
    )


def test_a_wrong_result_is_trouble() -> None:
    results: list[Any] = [{"state": "in_progress"}, {}, None, "finished"]
    for result in results:
        assert trouble(replace(WELL, result=result)) == (f"run run_1 returned {result}, which is not what it had to.")


def test_an_early_end_is_trouble_also_where_all_else_is_right() -> None:
    assert trouble(replace(WELL, ended_at=1_004.0)) == (
        "run run_1 ended after 4.0 s, before the 10 s that it had to take."
    )
