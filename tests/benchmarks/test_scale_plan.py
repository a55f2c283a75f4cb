# SPDX-License-Identifier: Apache-2.0
"""Which waits the scale benchmark starts, and what it gives Airflow for them."""

from __future__ import annotations

import resource

import pytest

from airflow_provider_alchemy.api.inputs import read_contract_address
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.scale.plan import (
    WORKER_DAG,
    Place,
    Side,
    contract_of,
    dags_of,
    job_seconds,
    places_of,
    side_of,
    task_of,
)
from dev.benchmarks.scale.settings import Scenario, airflow_environment, open_files_limit


def test_no_two_waits_have_a_collection_in_common() -> None:
    contracts = [contract_of(side, number) for side in Side for number in range(100)]

    assert len(set(contracts)) == len(contracts)
    assert [read_contract_address(contract) for contract in contracts] == contracts


def test_every_wait_is_in_one_dag_and_the_last_dag_has_what_is_left() -> None:
    dags = dags_of(45, 20)

    assert [len(numbers) for numbers in dags.values()] == [20, 20, 5]
    assert [number for numbers in dags.values() for number in numbers] == list(range(45))


def test_a_wait_is_found_by_its_task_instance() -> None:
    places = places_of(waits=3, size=2, worker_waits=1)

    assert places == {
        Place("scale_0000", task_of(0)): contract_of(Side.TRIGGERER, 0),
        Place("scale_0000", task_of(1)): contract_of(Side.TRIGGERER, 1),
        Place("scale_0001", task_of(2)): contract_of(Side.TRIGGERER, 2),
        Place(WORKER_DAG, "wait", 0): contract_of(Side.WORKERS, 0),
    }
    assert [side_of(place) for place in places] == [*[Side.TRIGGERER] * 3, Side.WORKERS]


def test_jobs_end_spread_out_and_the_same_in_each_run() -> None:
    contracts = [contract_of(Side.TRIGGERER, number) for number in range(200)]
    seconds = job_seconds(contracts, shortest=300, spread=100)

    assert seconds == job_seconds(contracts, shortest=300, spread=100)
    assert 300 <= min(seconds.values()) < 320
    assert 380 < max(seconds.values()) <= 400


def test_airflow_is_told_the_scenario() -> None:
    told = airflow_environment(Scenario(waits=7, capacity=1234, health_seconds=99), {"PYTHONPATH": "/elsewhere"})

    assert told["AIRFLOW__TRIGGERER__CAPACITY"] == "1234"
    assert told["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"] == "99"
    assert told["SCALE_WAITS"] == "7"
    assert told["SCALE_XCOMS"] == "0"
    assert airflow_environment(Scenario(xcoms=True), {})["SCALE_XCOMS"] == "1"
    assert told["PYTHONPATH"].endswith(":/elsewhere")


def test_the_limit_of_open_files_is_put_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = before[0] - 1

    with open_files_limit(wanted):
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == wanted
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_more_open_files_than_the_system_allows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))

    with pytest.raises(BenchmarkError, match="hard limit is 4,096"), open_files_limit(8192):
        pytest.fail("it must not begin")
