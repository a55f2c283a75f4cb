# SPDX-License-Identifier: Apache-2.0
"""A hundred watchers of five hundred contracts cost no more calls than a single one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.chain.dags.crowd import CONTRACTS, CROWD, ONE, WATCHERS, contracts_of, network_of
from tests.e2e.chain.dags.watchers import Watched
from tests.e2e.chain.stage import LOGS, Stage

pytestmark = pytest.mark.e2e

POLLS = 20
MOST_CALLS = 1.1
"""Against those of one watcher that looks as often."""


@pytest.fixture(scope="module")
def crowd(stage: Stage) -> Iterator[Stage]:
    stage.begin("crowd.py", WATCHERS, [watched for dag_id in WATCHERS for watched in watches_of(dag_id)])
    yield stage
    # They would only slow down what comes after them.
    for dag_id in WATCHERS:
        stage.airflow.pause_dag(dag_id)


def watches_of(dag_id: str) -> list[Watched]:
    return [
        Watched(f"{dag_id}_{number}", tuple(contracts_of(dag_id, number)), network_of(dag_id), confirmations=0)
        for number in range(WATCHERS[dag_id])
    ]


def test_a_hundred_watchers_make_the_calls_of_one(crowd: Stage) -> None:
    emulator = crowd.emulator_of(watches_of(ONE)[0])
    before = {dag_id: len(crowd.calls(network_of(dag_id))) for dag_id in WATCHERS}
    announced: dict[str, set[str]] = {}
    for number in range(POLLS):
        for dag_id, watchers in WATCHERS.items():
            watched = watches_of(dag_id)[number * 3 % watchers]
            logs = emulator.reveal(watched.contracts[number % CONTRACTS[dag_id]], [number], network=watched.network)
            announced.setdefault(watched.asset, set()).update(log.id for log in logs)
        # Both chains grow with the polls of the one, however slow this machine is.
        crowd.until_more_polls(network_of(ONE), 2)
    one, many = (len(crowd.calls(network_of(dag_id))) - before[dag_id] for dag_id in (ONE, CROWD))
    asked = [call.addresses for call in crowd.calls(network_of(CROWD)) if call.endpoint == LOGS][-1]

    for asset, ids in announced.items():
        crowd.until_told(asset, ids)

    # One more call than the other may be under way at either end.
    assert many <= MOST_CALLS * one + 2
    assert asked == WATCHERS[CROWD] * CONTRACTS[CROWD]
    assert {asset: crowd.records.ids(asset) for asset in announced} == {
        asset: Counter(ids) for asset, ids in announced.items()
    }
