# SPDX-License-Identifier: Apache-2.0
"""What contracts announce on the chain starts DAGs, each announcement once, whatever kind of asset is watched."""

from __future__ import annotations

import pytest

from tests.e2e.chain.dags.watchers import CALM, CALM_CONTRACTS, EACH, SCENARIOS, TWO, Watched
from tests.e2e.chain.mill import Mill, ids_for
from tests.e2e.chain.stage import Stage

pytestmark = pytest.mark.e2e

WATCHES = SCENARIOS[CALM]
STEPS = 40


@pytest.fixture(scope="module")
def calm(stage: Stage) -> Stage:
    emulator = stage.emulator_of(WATCHES[0])
    with Mill(emulator, WATCHES[0].network, CALM_CONTRACTS, seed=1) as mill:
        stage.until(lambda: mill.steps >= STEPS, "The mill stands still")
    stage.mine_until_told(CALM)
    return stage


@pytest.mark.parametrize("watched", WATCHES, ids=lambda watched: watched.asset)
def test_each_asset_is_told_exactly_once_what_its_contracts_announced(calm: Stage, watched: Watched) -> None:
    announced = ids_for(watched, calm.emulator_of(watched))

    assert len(announced) > 5
    assert calm.records.ids(watched.asset) == dict.fromkeys(announced, 1)


def test_the_dag_runs_with_what_was_announced(calm: Stage) -> None:
    # Airflow 3.3.2 keeps an event that comes while another one of its asset is queued for the run after the next event.
    calm.until_runs_end(CALM)
    calm.emulator_of(WATCHES[0]).reveal(CALM_CONTRACTS[0], [7], network=WATCHES[0].network)
    calm.mine_until_told(CALM)

    assert calm.ids_of_runs(CALM) == set().union(*(ids_for(watched, calm.emulator_of(watched)) for watched in WATCHES))


def test_contracts_with_an_asset_each_that_announce_at_once_start_dags_without_another_event(stage: Stage) -> None:
    watches = SCENARIOS[EACH]
    emulator = stage.emulator_of(watches[0])
    with emulator.one_block(network=watches[0].network):
        for watched in watches:
            emulator.reveal(watched.contracts[0], [7], network=watched.network)

    stage.mine_until_told(EACH)

    assert stage.ids_of_runs(EACH) == set().union(*(ids_for(watched, emulator) for watched in watches))


def test_two_watchers_of_an_asset_tell_each_after_its_own_confirmations(stage: Stage) -> None:
    early, late = sorted(SCENARIOS[TWO], key=lambda watched: watched.confirmations)
    emulator = stage.emulator_of(early)
    (log,) = emulator.reveal(early.contracts[0], [7], network=early.network)

    emulator.mine_blocks(early.confirmations, network=early.network)
    stage.until_told("two", {log.id})
    stage.until_more_polls(early.network, 5)
    before = stage.records.ids("two")[log.id]
    emulator.mine_blocks(late.confirmations - early.confirmations, network=early.network)
    stage.until(lambda: stage.records.ids("two")[log.id] > 1, "The watcher with more confirmations tells nothing")
    stage.until_more_polls(early.network, 5)

    assert (before, stage.records.ids("two")[log.id]) == (1, 2)
