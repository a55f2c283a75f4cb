# SPDX-License-Identifier: Apache-2.0
"""Twenty times SIGKILL of the triggerer, at random points of its work, while blocks come and are reorganised."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from itertools import pairwise

from airflow_provider_alchemy.chain.watch import Cursor
from tests.e2e.chain.dags.watchers import KILLED, KILLED_CONTRACTS, SCENARIOS
from tests.e2e.chain.mill import Mill, logs_for
from tests.e2e.chain.records import Told
from tests.e2e.chain.stage import Stage

KILLS = 20
SEED = 20
LATENCY_SECONDS = 0.3
"""Of each answer, so that a kill may also hit a call that is under way."""

LONGEST_DELAY_SECONDS = 2.0
"""From an answer with logs to the kill: longer than it takes to store the events and then the place."""

LIVES_THAT_GET_ON = 5
"""Every so many, a triggerer lives until it has kept what was confirmed when it began."""

WATCHES = SCENARIOS[KILLED]
NETWORK = WATCHES[0].network


@dataclass(frozen=True)
class Kill:
    """
    What the metadata database held when the triggerer was dead.

    :param places: The kept places, by asset.
    :param last_event: The last event that was stored.
    :param read_to: The last block that an answer had arrived for.
    """

    places: dict[str, Cursor]
    last_event: int
    read_to: int


@dataclass(frozen=True)
class Killing:
    """
    What came of it.

    :param kills: Each kill.
    :param told: All that was told, in the order in which it was stored.
    :param blocks: The block of each id that is on the chain.
    """

    kills: list[Kill]
    told: list[Told]
    blocks: dict[str, int]

    def told_again(self) -> list[tuple[Told, Told, str]]:
        """Give each id that was told again, with the event that told it before."""
        events: dict[tuple[str, str], list[Told]] = {}
        for one in self.told:
            for event_id in one.event_ids:
                events.setdefault((one.asset, event_id), []).append(one)
        return [(before, after, event_id) for (_, event_id), told in events.items() for before, after in pairwise(told)]

    def was_in_flight(self, before: Told, after: Told, event_id: str) -> bool:
        """Tell whether a kill came between the two, when the first was stored and the place had not moved past it."""
        return any(
            before.number <= kill.last_event < after.number
            and kill.places[before.asset][before.contract] <= self.blocks[event_id]
            for kill in self.kills
        )


def kill_the_triggerer(stage: Stage) -> Killing:
    dice, emulator = random.Random(SEED), stage.emulator_of(WATCHES[0])
    emulator.configure(latency_seconds=LATENCY_SECONDS)
    kills = []
    with Mill(emulator, NETWORK, KILLED_CONTRACTS, seed=SEED):
        for number in range(KILLS):
            _until_logs_were_read(stage)
            if number % LIVES_THAT_GET_ON == 0:
                _until_kept(stage, emulator.newest_block(network=NETWORK))
                _until_logs_were_read(stage)
            # No guess at how long something takes: the point of the kill is random.
            time.sleep(dice.uniform(0, LONGEST_DELAY_SECONDS))
            kills.append(_kill(stage))
            stage.airflow.start("triggerer")
    emulator.configure(latency_seconds=0)
    stage.mine_until_told(KILLED)
    blocks = {log.id: log.block_number for watched in WATCHES for log in logs_for(watched, emulator)}
    return Killing(kills, stage.records.told({watched.asset for watched in WATCHES}), blocks)


def _kill(stage: Stage) -> Kill:
    read_to = _read_to(stage)
    stage.airflow.kill("triggerer")
    # First the places: the API server may still write one that the dead triggerer has asked for.
    places = {watched.asset: stage.records.places(watched) for watched in WATCHES}
    return Kill(places, stage.records.last_event(), read_to)


def _read_to(stage: Stage) -> int:
    # The emulator notes a call when it comes; its answer leaves later.
    answered = time.time() - LATENCY_SECONDS
    return max(
        (call.blocks[1] for call in stage.log_calls(WATCHES[0]) if call.blocks and call.at < answered), default=0
    )


def _until_logs_were_read(stage: Stage) -> None:
    emulator, watched, before = stage.emulator_of(WATCHES[0]), WATCHES[0], len(stage.log_calls(WATCHES[0]))

    def has_read() -> bool:
        blocks = {log.block_number for log in emulator.chain_logs(network=NETWORK)}
        asked = [call.blocks for call in stage.log_calls(watched)[before:] if call.blocks]
        return any(first <= block <= last for first, last in asked for block in blocks)

    stage.until(has_read, "The triggerer reads no logs")


def _until_kept(stage: Stage, block: int) -> None:
    stage.until(
        lambda: all(min(stage.records.places(watched).values()) > block for watched in WATCHES),
        f"The places do not move past block {block:,}",
    )
