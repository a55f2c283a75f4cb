# SPDX-License-Identifier: Apache-2.0
"""Measuring the watchers of a running Airflow: how soon they tell, what they ask for, and what they do to the loop."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.chain import CURSOR_KEY
from dev.benchmarks.chain_plan import (
    CATCH_UP,
    CONFIRMATIONS,
    LATENCY,
    LOOP,
    CatchUpSide,
    contracts_of,
    network_of,
)
from dev.benchmarks.chain_stage import Sizes, Stage
from dev.local_airflow.waiting import wait_until

LOGS, NEWEST = "eth_getLogs", "eth_blockNumber"
SETTLE_SECONDS = 3.0
"""After the first calls of a crowd, until all of its watchers have begun."""


@dataclass(frozen=True)
class Latency:
    """
    How long one announcement took.

    :param to_event: Seconds from the block that confirmed it to the stored event of the asset.
    :param to_run: Seconds from there to the start of the DAG's run.
    """

    to_event: float
    to_run: float


@dataclass(frozen=True)
class Load:
    """
    What the watchers of a DAG do while blocks come.

    :param side: The DAG.
    :param watchers: How many watchers there are.
    :param contracts: Contracts of each.
    :param seconds: For how long they were looked at.
    :param newest_calls: Calls for the newest block meanwhile.
    :param log_calls: Calls for logs.
    :param late_seconds: The longest delay of the triggerer's event loop.
    :param late_at_start_seconds: The longest one while the watchers began.
    :param resident_bytes: The largest resident memory of the process that runs the triggers.
    """

    side: str
    watchers: int
    contracts: int
    seconds: float
    newest_calls: int
    log_calls: int
    late_seconds: float
    late_at_start_seconds: float
    resident_bytes: int

    @property
    def calls_per_minute(self) -> float:
        """All calls in a minute."""
        return 60 * (self.newest_calls + self.log_calls) / self.seconds


@dataclass(frozen=True)
class CatchUp:
    """
    How a watcher came to the newest block again.

    :param limit: Blocks that a call may span.
    :param refusal: What a refusal tells.
    :param blocks: Blocks that it was behind.
    :param answered: Calls for logs that were answered.
    :param refused: Those that were refused.
    :param told: Announcements in these blocks that were told.
    :param announced: All of them.
    """

    limit: int
    refusal: str
    blocks: int
    answered: int
    refused: int
    told: int
    announced: int

    @property
    def fewest(self) -> int:
        """The fewest answers that can cover the blocks."""
        return ceil(self.blocks / self.limit)


def measure_latency(stage: Stage, sizes: Sizes, events: int, seed: int = 0) -> list[Latency]:
    """
    Announce at random moments, and see when it is told and when the DAG runs.

    :param stage: What runs.
    :param sizes: How much is watched.
    :param events: How often.
    :param seed: Of the moments.
    :return: What was seen of each announcement.
    :raises LocalAirflowError: One was not told.
    """
    dice, emulator = random.Random(seed), stage.emulator  # noqa: S311 - moments, no secrets
    networks = [network_of(LATENCY, number) for number in range(sizes.networks)]
    stage.begin(LATENCY, lambda: all(stage.calls(network) for network in networks))
    confirmed_at: dict[str, float] = {}
    for number in range(events):
        time.sleep(dice.uniform(0, sizes.poll_seconds))
        chain = number % sizes.networks
        (contract,) = contracts_of(LATENCY, chain, 1)
        (log,) = emulator.reveal(contract, [number], network=networks[chain])
        emulator.mine_blocks(CONFIRMATIONS, network=networks[chain])
        confirmed_at[log.id] = time.time()
    wait_until(
        lambda: confirmed_at.keys() == run_starts(stage.airflow.asset_events()).keys(),
        failure=lambda: "not all announcements have started the DAG",
    )
    told = run_starts(stage.airflow.asset_events())
    stage.airflow.pause_dag(LATENCY)
    return [Latency(told[one][0] - at, told[one][1] - told[one][0]) for one, at in confirmed_at.items()]


def run_starts(asset_events: Iterable[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """
    Read when announcements were stored as events, and when the runs began that these have started.

    :param asset_events: The events, as Airflow's REST interface gives them.
    :return: Both moments, in seconds since the epoch, by announcement; those without a run yet are missing.
    """
    moments = {}
    for event in asset_events:
        starts = [_seconds(run["start_date"]) for run in event["created_dagruns"] if run["start_date"]]
        if starts:
            for event_id in event["extra"]["payload"]["event_ids"]:
                moments[event_id] = (_seconds(event["timestamp"]), min(starts))
    return moments


def measure_load(stage: Stage, side: str, watchers: int, contracts: int, seconds: float) -> Load:
    """
    Let blocks come, each with an announcement, and see what a DAG's watchers ask for.

    :param stage: What runs.
    :param side: The DAG.
    :param watchers: How many watchers it has.
    :param contracts: Contracts of each.
    :param seconds: How long.
    :return: What was seen.
    :raises LocalAirflowError: The watchers do not begin.
    """
    network, dice = network_of(side), random.Random(0)  # noqa: S311 - who announces, no secret
    unpaused_at = time.time()
    stage.begin(side, lambda: bool(stage.calls(network)))
    _announce(stage, side, watchers, contracts, dice, SETTLE_SECONDS)
    began_at, before = time.time(), len(stage.calls(network))
    _announce(stage, side, watchers, contracts, dice, seconds)
    measured, calls = time.time() - began_at, stage.calls(network)[before:]
    samples = samples_between(stage.loop_file, began_at, began_at + measured)
    starting = samples_between(stage.loop_file, unpaused_at, began_at)
    return Load(
        side=side,
        watchers=watchers,
        contracts=contracts,
        seconds=measured,
        newest_calls=sum(call.endpoint == NEWEST for call in calls),
        log_calls=sum(call.endpoint == LOGS for call in calls),
        late_seconds=max(sample["late_seconds"] for sample in samples),
        late_at_start_seconds=max(sample["late_seconds"] for sample in starting),
        resident_bytes=max(int(sample["resident_bytes"]) for sample in samples),
    )


def _announce(stage: Stage, side: str, watchers: int, contracts: int, dice: random.Random, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        contract = dice.choice(contracts_of(side, dice.randrange(watchers), contracts))
        stage.emulator.reveal(contract, [dice.randrange(1_000)], network=network_of(side))
        time.sleep(1)


def samples_between(file: Path, first: float, last: float) -> list[dict[str, float]]:
    """
    Read what the triggerer's event loop told of itself.

    :param file: What ``LoopWatchTrigger`` wrote.
    :param first: From when on.
    :param last: Until when.
    :return: The samples.
    """
    samples = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [sample for sample in samples if first < sample["at"] <= last]


def begin_loop_watch(stage: Stage) -> None:
    """
    Begin to watch the triggerer's event loop.

    :param stage: What runs.
    :raises LocalAirflowError: It does not begin.
    """
    stage.begin(LOOP, stage.loop_file.exists)


def measure_catch_up(stage: Stage, sides: Sequence[CatchUpSide], blocks: int) -> list[CatchUp]:
    """
    Mine blocks while the triggerer is down, and see in how many calls it catches up.

    :param stage: What runs.
    :param sides: The connections.
    :param blocks: How many blocks.
    :return: What was seen of each connection.
    :raises LocalAirflowError: Not all that was announced is told.
    """
    (contract,) = contracts_of(CATCH_UP, 0, 1)
    emulators = [stage.limited[side.conn_id] for side in sides]
    stage.begin(CATCH_UP, lambda: all(emulator.count(NEWEST) for emulator in emulators))
    for emulator in emulators:
        # What was told last is behind the place: the place is kept then, and is known.
        emulator.reveal(contract, [0])
        emulator.mine_blocks(CONFIRMATIONS)
    _wait_until_told(stage, sides)
    wait_until(lambda: len(_kept(stage)) == len(sides), failure=lambda: "not all places are kept")
    stage.airflow.kill("triggerer")
    before = [emulator.count(LOGS) for emulator in emulators]
    for emulator in emulators:
        for _ in range(10):
            emulator.reveal(contract, [1])
            emulator.mine_blocks(blocks // 10 - 1)
    stage.airflow.start("triggerer")
    _wait_until_told(stage, sides)
    return [
        _caught_up(stage, side, blocks, emulator, calls_before)
        for side, emulator, calls_before in zip(sides, emulators, before, strict=True)
    ]


def _kept(stage: Stage) -> list[str]:
    """Give the connections of which the place is behind the first announcement."""
    kept = []
    for conn_id, emulator in stage.limited.items():
        (first, *_) = emulator.chain_logs()
        place = stage.airflow.asset_state(conn_id, CURSOR_KEY)
        slots = (place or {}).get("slots", {}).values()
        if any(int(block) > first.block_number for slot in slots for block in slot):
            kept.append(conn_id)
    return kept


def _wait_until_told(stage: Stage, sides: Sequence[CatchUpSide]) -> None:
    def are_told() -> bool:
        told = _told(stage)
        return all(
            {log.id for log in stage.limited[side.conn_id].chain_logs()} <= told.get(side.conn_id, set())
            for side in sides
        )

    wait_until(are_told, failure=lambda: "not all announcements are told")


def _told(stage: Stage) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for event in stage.airflow.asset_events():
        told.setdefault(event["name"], set()).update(event["extra"]["payload"]["event_ids"])
    return told


def _caught_up(stage: Stage, side: CatchUpSide, blocks: int, emulator: AlchemyEmulator, calls_before: int) -> CatchUp:
    calls = [call for call in emulator.calls if call.endpoint == LOGS][calls_before:]
    answered = sum(call.http_status == 200 for call in calls)  # noqa: PLR2004 - OK
    announced = {log.id for log in emulator.chain_logs()}
    told = _told(stage)[side.conn_id]
    return CatchUp(
        side.limit, side.refusal, blocks, answered, len(calls) - answered, len(announced & told), len(announced)
    )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
