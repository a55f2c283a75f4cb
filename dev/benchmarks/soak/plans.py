# SPDX-License-Identifier: Apache-2.0
"""What the emulator is told before a wait of each kind starts, what happens when it is due, and its right result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pendulum

from dev.benchmarks.soak.kinds import (
    BATCH_SIZE,
    CONFIRMATIONS,
    CONTRACT,
    CONTRACTS,
    LITERAL_CONTRACTS,
    SAMPLE,
    SINCE,
    SINCE_BLOCK,
    TOKENS,
    UNTIL,
    Kind,
)

NEVER_SECONDS = 36_000.0
"""How long a refresh takes that outlasts every wait."""
QUEUE_FAILURES = 2
SHORTEST_TIME_OUT_SECONDS = 10.0
STALE_REFRESHES = 1
BETWEEN_ATTEMPTS_SECONDS = 10.0
"""How long a token refresh waits before it asks for stale tokens again."""


class Service(Protocol):
    """What of the emulator's control interface is needed here."""

    def post(self, command: str, /, **payload: Any) -> dict[str, Any]:
        """Send a command."""


@dataclass(frozen=True)
class Plan:
    """
    A wait that is about to start.

    :param parameters: Those of its run.
    :param earliest_seconds: How long after its start it can end at the earliest: any sooner is wrong.
    :param is_right: Whether what its task returned is right; None for a task that returns nothing.
    :param when_due: What ends it, where the emulator does not by itself; called ``wait_seconds`` after its start.
    """

    parameters: dict[str, str]
    earliest_seconds: float
    is_right: Callable[[Any], bool] | None = None
    when_due: Callable[[], object] | None = None


def contract_of(number: int, member: int = 0) -> str:
    """
    Name the collection of a wait: one that no other wait of any soak on this emulator has.

    :param number: The wait's number.
    :param member: Which of the wait's collections.
    :return: A contract address.
    """
    return f"0x{number:036x}{member:04x}"


def plan_of(kind: Kind, number: int, service: Service, wait_seconds: float) -> Plan:
    """
    Prepare a wait.

    :param kind: Its kind.
    :param number: Its number, which no other has.
    :param service: The emulator.
    :param wait_seconds: How long it is to take.
    :return: How it is started and ends.
    """
    literal = LITERAL_CONTRACTS.get(kind)
    plan = _PLANNERS[kind](literal or contract_of(number), service, wait_seconds)
    return replace(plan, parameters={}) if literal else plan


def _refresh(contract: str, service: Service, wait_seconds: float) -> Plan:
    service.post("jobs", address=contract, running_seconds=wait_seconds)
    return Plan({CONTRACT: contract}, wait_seconds, _is_finished(contract))


def _resubmitted(contract: str, service: Service, wait_seconds: float) -> Plan:
    service.post("jobs", address=contract, running_seconds=wait_seconds, queue_failures=QUEUE_FAILURES)
    return Plan({CONTRACT: contract}, wait_seconds, _is_finished(contract))


def _queue_failed(contract: str, service: Service, wait_seconds: float) -> Plan:
    service.post("jobs", address=contract, queued_seconds=wait_seconds, outcome="queue_failed")
    return Plan({CONTRACT: contract}, wait_seconds)


def _does_not_exist(contract: str, service: Service, wait_seconds: float) -> Plan:
    del wait_seconds  # Alchemy says so at once.
    service.post("jobs", address=contract, outcome="does_not_exist")
    return Plan({CONTRACT: contract}, 0.0)


def _timed_out(contract: str, service: Service, wait_seconds: float) -> Plan:
    del wait_seconds  # Its own time-out ends it.
    service.post("jobs", address=contract, running_seconds=NEVER_SECONDS)
    return Plan({CONTRACT: contract}, SHORTEST_TIME_OUT_SECONDS)


def _batch(contract: str, service: Service, wait_seconds: float) -> Plan:
    contracts = [f"0x{int(contract, 16) + member:040x}" for member in range(BATCH_SIZE)]
    for one in contracts:
        service.post("jobs", address=one, running_seconds=wait_seconds)
    return Plan(
        {CONTRACTS: " ".join(contracts)},
        wait_seconds,
        lambda result: bool(result["counts"]["finished"] == BATCH_SIZE == len(result["finished"])),
    )


def _collection(contract: str, service: Service, wait_seconds: float) -> Plan:
    del wait_seconds  # The pause before the second attempt is its length.
    service.post("collections", address=contract, tokens=TOKENS)
    service.post("tokens", address=contract, token_ids=[*range(TOKENS)], stale_refreshes=STALE_REFRESHES)
    return Plan(
        {CONTRACT: contract},
        BETWEEN_ATTEMPTS_SECONDS,
        lambda result: bool(result["counts"]["refreshed"] == TOKENS),
    )


def _fresh(contract: str, service: Service, wait_seconds: float) -> Plan:
    service.post("collections", address=contract, tokens=SAMPLE)

    def refresh() -> None:
        service.post("collections", address=contract, tokens=SAMPLE, last_updated=pendulum.now("UTC").isoformat())

    return Plan(
        {CONTRACT: contract, SINCE: pendulum.now("UTC").isoformat()},
        wait_seconds,
        lambda result: bool(result["counts"]["fresh"] == SAMPLE),
        when_due=refresh,
    )


def _minted(contract: str, service: Service, wait_seconds: float) -> Plan:
    newest = service.post("mine_blocks", blocks=1)["newest_block"]
    token_id = int(contract, 16) % 10_000

    def mint() -> None:
        service.post("mint", address=contract, token_ids=[token_id])
        service.post("mine_blocks", blocks=CONFIRMATIONS)

    return Plan(
        {CONTRACT: contract, SINCE_BLOCK: str(newest)},
        wait_seconds,
        lambda result: bool(result["token_ids"] == [str(token_id)]),
        when_due=mint,
    )


def _core(contract: str, service: Service, wait_seconds: float) -> Plan:
    del contract, service  # The clock ends it.
    return Plan({UNTIL: pendulum.now("UTC").add(seconds=wait_seconds).isoformat()}, wait_seconds)


def _is_finished(contract: str) -> Callable[[Any], bool]:
    return lambda result: (result["state"], result["contract_address"].lower()) == ("finished", contract)


_PLANNERS: dict[Kind, Callable[[str, Service, float], Plan]] = {
    Kind.SENSOR: _refresh,
    Kind.SENSOR_IN_TRIGGERER: _refresh,
    Kind.OPERATOR: _refresh,
    Kind.OPERATOR_IN_TRIGGERER: _refresh,
    Kind.BATCH: _batch,
    Kind.COLLECTION: _collection,
    Kind.FRESH: _fresh,
    Kind.MINTED: _minted,
    Kind.RESUBMITTED: _resubmitted,
    Kind.QUEUE_FAILED: _queue_failed,
    Kind.DOES_NOT_EXIST: _does_not_exist,
    Kind.TIMED_OUT: _timed_out,
    Kind.CORE_WAIT: _core,
    Kind.CORE_WAIT_IN_TRIGGERER: _core,
    Kind.CORE_FAILED: _core,
}
