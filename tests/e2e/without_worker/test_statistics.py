# SPDX-License-Identifier: Apache-2.0
"""Airflow's statistics of a real Airflow: what workers and triggerers tell a StatsD server."""

from __future__ import annotations

import pytest

from dev.local_airflow.waiting import wait_until
from tests.e2e.without_worker.conftest import Stage
from tests.e2e.without_worker.dags.without_worker import MOVED
from tests.e2e.without_worker.statistics import StatisticsServer

pytestmark = pytest.mark.e2e

POLLS, UNITS = "airflow.alchemy.polls", "airflow.alchemy.compute_units"
THROTTLED, WAITS = "airflow.alchemy.throttled", "airflow.alchemy.waits"

MOST_LOST = len(MOVED)
"""Calls that were under way when the triggerer was killed: it told of no such one."""


@pytest.fixture(scope="module")
def told(stage: Stage) -> StatisticsServer:
    """What was told when all runs had ended."""
    for dag_id in stage.runs:
        stage.ended(dag_id)
    return stage.statistics


def test_each_call_that_the_service_counted_is_a_poll(told: StatisticsServer, stage: Stage) -> None:
    assert stage.emulator.count() - MOST_LOST <= told.counters[POLLS] <= stage.emulator.count()


def test_the_compute_units_are_those_that_the_service_billed(told: StatisticsServer, stage: Stage) -> None:
    untold = stage.emulator.count() - told.counters[POLLS]

    assert told.counters[UNITS] == stage.emulator.compute_units - 480 * untold


def test_an_answer_that_throttles_is_counted(told: StatisticsServer) -> None:
    assert told.counters[THROTTLED] == 1


def test_both_triggerers_told_how_many_waits_they_poll_for(told: StatisticsServer) -> None:
    assert len(told.senders[WAITS]) == 2


def test_no_wait_is_left_at_the_end(told: StatisticsServer) -> None:
    wait_until(lambda: told.gauges[WAITS][-1] == 0, failure=lambda: f"There still are {told.gauges[WAITS][-1]} waits")


def test_triggerers_and_workers_told_of_their_calls(told: StatisticsServer) -> None:
    triggerers = told.senders[WAITS]

    assert triggerers < told.senders[POLLS]
