# SPDX-License-Identifier: Apache-2.0
"""Announcements on the chain during a soak: each told, each with a run that ended well."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dev.benchmarks.soak.announcements import ANNOUNCE_SECONDS, Announcements
from dev.benchmarks.soak.kinds import WATCHED
from dev.local_airflow import LocalAirflow
from tests.benchmarks.soak_runs import ScriptedAirflow, ScriptedService


@pytest.fixture
def airflow() -> ScriptedAirflow:
    return ScriptedAirflow()


@pytest.fixture
def announced(airflow: ScriptedAirflow) -> Announcements:
    """Three announcements; the service names them log_1, log_3 and log_5."""
    now = [1_000.0]
    announcements = Announcements(cast("LocalAirflow", airflow), ScriptedService(), clock=lambda: now[0])
    for _ in range(3):
        announcements.announce_what_is_due()
        announcements.announce_what_is_due()
        now[0] += ANNOUNCE_SECONDS
    return announcements


def event(*event_ids: str, states: tuple[str, ...] = ("success",), name: str = WATCHED) -> dict[str, Any]:
    return {
        "name": name,
        "extra": {"payload": {"event_ids": [*event_ids]}},
        "created_dagruns": [{"state": state} for state in states],
    }


def end(announcements: Announcements) -> list[str]:
    return announcements.end(still_seconds=0)


def test_it_has_begun_when_one_is_told(announced: Announcements, airflow: ScriptedAirflow) -> None:
    assert not announced.has_begun()
    airflow.events = [event("log_3")]
    assert announced.has_begun()


def test_events_of_other_assets_and_other_soaks_do_not_count(
    announced: Announcements, airflow: ScriptedAirflow
) -> None:
    airflow.events = [event("log_1", name="other"), event("log_77")]

    assert not announced.has_begun()


def test_all_told_is_no_trouble(announced: Announcements, airflow: ScriptedAirflow) -> None:
    airflow.events = [event("log_1"), event("log_3", "log_5")]

    assert end(announced) == []


def test_what_came_before_the_watcher_began_need_not_be_told(
    announced: Announcements, airflow: ScriptedAirflow
) -> None:
    airflow.events = [event("log_3"), event("log_5")]

    assert end(announced) == []


def test_one_that_is_lost_is_named(announced: Announcements, airflow: ScriptedAirflow) -> None:
    airflow.events = [event("log_1"), event("log_5")]

    (sentence,) = end(announced)
    assert sentence.startswith("soak_watched: 1 of 3 announcements were never told, such as log_3.")


def test_an_event_without_a_run_and_a_run_that_failed_are_told(
    announced: Announcements, airflow: ScriptedAirflow
) -> None:
    airflow.events = [event("log_1"), event("log_3", states=()), event("log_5", states=("failed",))]

    (sentence,) = end(announced)
    assert "1 announcements started no run; states of runs other than success: failed." in sentence
