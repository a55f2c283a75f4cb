# SPDX-License-Identifier: Apache-2.0
"""A triggerer that is down while blocks come by the hundred, and while somebody changes a DAG."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.calls import Call
from tests.e2e.chain.dags import changed
from tests.e2e.chain.dags.watchers import DAY, HUNDRED, SCENARIOS, TEN, TWO, Watched
from tests.e2e.chain.stage import Stage

LIMITS = {TEN: 10, HUNDRED: 100}
"""Blocks that a call may span, by scenario."""

BEHIND = 1_000
BLOCKS_OF_A_DAY = 7_200

CHANGED = Watched(changed.CHANGED, (changed.OLD_CONTRACT,), changed.NETWORK, confirmations=changed.CONFIRMATIONS)
BOTH_CONTRACTS = CHANGED._replace(contracts=(changed.OLD_CONTRACT, changed.NEW_CONTRACT))


@dataclass(frozen=True)
class CatchingUp:
    """
    How a watch came to the newest block again.

    :param first_block: The first block that nobody had read before.
    :param answered: The ranges of blocks that were answered for, in order.
    :param refused: Calls that were refused.
    """

    first_block: int
    answered: list[tuple[int, int]]
    refused: int


@dataclass(frozen=True)
class Downtime:
    """
    What came of it.

    :param catching_up: By scenario.
    """

    catching_up: dict[str, CatchingUp]


def live_through(stage: Stage) -> Downtime:
    watches = {scenario: SCENARIOS[scenario][0] for scenario in (TEN, HUNDRED, DAY)}
    for scenario in (*watches, TWO):
        _announce(stage.emulator_of(SCENARIOS[scenario][0]), SCENARIOS[scenario][0], 2)
        stage.mine_until_told(scenario)
    _announce(stage.emulator_of(CHANGED), CHANGED, 2)
    stage.emulator_of(CHANGED).mine_blocks(CHANGED.confirmations, network=CHANGED.network)
    stage.until(lambda: stage.is_kept(CHANGED), "The watch that is to be changed does not get on")

    stage.airflow.kill("triggerer")
    places = {scenario: min(stage.records.places(watched).values()) for scenario, watched in watches.items()}
    calls = {scenario: len(stage.log_calls(watched)) for scenario, watched in watches.items()}
    for scenario, watched in watches.items():
        _mine(stage.emulator_of(watched), watched, BLOCKS_OF_A_DAY if scenario == DAY else BEHIND)
    for watched in (SCENARIOS[TWO][0], CHANGED):
        _announce(stage.emulator_of(watched), watched, 5)
    _change_the_dag(stage)
    stage.airflow.start("triggerer")

    for scenario in (*watches, TWO):
        stage.mine_until_told(scenario)
    return Downtime(
        {
            scenario: _caught_up(places[scenario], stage.log_calls(watched)[calls[scenario] :])
            for scenario, watched in watches.items()
        }
    )


def _announce(emulator: AlchemyEmulator, watched: Watched, blocks: int) -> None:
    for number in range(blocks):
        for contract in watched.contracts:
            emulator.reveal(contract, [number, number + 1], network=watched.network)


def _mine(emulator: AlchemyEmulator, watched: Watched, blocks: int) -> None:
    """Mine as many blocks: with announcements in the first, the last and some between."""
    until = emulator.newest_block(network=watched.network) + blocks
    emulator.reveal(watched.contracts[0], [1], network=watched.network)
    for number in range(1, 10):
        emulator.mine_blocks(blocks // 11, network=watched.network)
        emulator.reveal(watched.contracts[number % len(watched.contracts)], range(number), network=watched.network)
    # All but the last are confirmed then; the blocks that confirm those are mined when Airflow runs again.
    emulator.mine_blocks(until - 1 - emulator.newest_block(network=watched.network), network=watched.network)
    emulator.reveal(watched.contracts[0], [2], network=watched.network)


def _change_the_dag(stage: Stage) -> None:
    old = stage.records.triggers(changed.CHANGED)
    stage.change("changed.py", "CONTRACTS = [OLD_CONTRACT]", "CONTRACTS = [OLD_CONTRACT, NEW_CONTRACT]")
    stage.until(lambda: stage.records.triggers(changed.CHANGED) != old, "Airflow does not see the new list")
    # Airflow 3.3.2 drops the new watcher together with the old one, and has it when it parses the file once more.
    stage.touch("changed.py")
    stage.until(lambda: stage.records.triggers(changed.CHANGED) - old, "Airflow makes no trigger of the new list")


def _caught_up(place: int, calls: list[Call]) -> CatchingUp:
    answered = [call.blocks for call in calls if call.blocks and call.http_status == 200]
    return CatchingUp(place, answered, len(calls) - len(answered))
