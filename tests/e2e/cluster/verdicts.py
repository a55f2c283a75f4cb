# SPDX-License-Identifier: Apache-2.0
"""Whether each wait of a scenario ended as it should, by what the emulator answered and Airflow's database holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pendulum

from tests.e2e.cluster.dags.waits import Kind, batches_of
from tests.e2e.cluster.records import Task
from tests.e2e.cluster.waits import MINTED_TOKEN, TOKENS, ScenarioWaits

ENDED = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})

Tasks = Mapping[tuple[str, int], Task]


@dataclass(frozen=True)
class Verdict:
    """
    What came of a scenario.

    :param name: Its name.
    :param waits: How many waits it had.
    :param wrong: Sentences about waits that ended wrongly, were lost, or still wait.
    :param early: Sentences about those that were reported as finished before the emulator said so.
    :param again: The number of calls about each contract after its terminal answer, for those that had any.
    :param late: Sentences about contracts that were asked about more than once after their task had ended: by then, at
        the latest, the answer was stored.
    :param retries: How many tries there were beyond the first ones.
    :param seconds: How long it took from the release of the waits to the last end.
    """

    name: str
    waits: int
    wrong: Sequence[str]
    early: Sequence[str]
    again: Mapping[str, int]
    late: Sequence[str]
    retries: int
    seconds: float


@dataclass(frozen=True)
class Wait:
    """
    A task instance and what it waits for.

    :param task: The task instance; None where there is none.
    :param contracts: Its contracts: one, or those of a batch.
    """

    kind: Kind
    task: Task | None
    contracts: Sequence[str]


def waits_of(tasks: Tasks, waits: ScenarioWaits) -> Iterator[Wait]:
    for kind in (Kind.SENSOR, Kind.OPERATOR, Kind.COLLECTION, Kind.FRESH, Kind.MINTED):
        for index, contract in enumerate(waits.contracts[kind]):
            yield Wait(kind, tasks.get((kind, index)), [contract])
    for index, contract in enumerate(waits.contracts[Kind.FROM_TRIGGER]):
        yield Wait(Kind.FROM_TRIGGER, tasks.get((f"{Kind.FROM_TRIGGER}_{index}", -1)), [contract])
    for index, batch in enumerate(batches_of(waits.contracts[Kind.BATCH])):
        yield Wait(Kind.BATCH, tasks.get((f"{Kind.BATCH}_{index}", -1)), batch)


def wrong_ends(tasks: Tasks, waits: ScenarioWaits) -> Iterator[str]:
    """Say which tasks have another state or result than their waits ask for."""
    for wait in waits_of(tasks, waits):
        if wait.task is None:
            yield f"{wait.kind} for {wait.contracts} has no task instance"
            continue
        failing = [contract for contract in wait.contracts if contract in waits.failing]
        expected = "failed" if failing else "success"
        if wait.task.state != expected:
            yield f"{wait.task.name} is {wait.task.state}, not {expected}"
        elif wait.kind is Kind.BATCH or not failing:
            difference = _difference(wait, failing)
            if difference:
                yield f"{wait.task.name}: {difference}"


def _difference(wait: Wait, failing: Sequence[str]) -> str:
    result = wait.task.result if wait.task else None
    if not isinstance(result, dict):
        return f"its result is {result!r}"
    expected = _expected(wait, failing)
    shown = {key: _shown(key, result) for key in expected}
    return "" if shown == expected else f"its result has {shown}, not {expected}"


def _expected(wait: Wait, failing: Sequence[str]) -> dict[str, Any]:
    contract = wait.contracts[0]
    if wait.kind is Kind.BATCH:
        return {
            "finished": sorted(set(wait.contracts) - {*failing}),
            "failed": sorted(failing),
        }
    if wait.kind is Kind.MINTED:
        return {"contract_address": contract, "token_ids": [str(MINTED_TOKEN)]}
    if wait.kind is Kind.COLLECTION:
        return {
            "contract_address": contract,
            "counts": {"tokens": TOKENS, "refreshed": TOKENS, "stale": 0, "failed": 0},
        }
    return {"contract_address": contract, "state": "finished"}


def _shown(key: str, result: Mapping[str, Any]) -> Any:
    value = result.get(key)
    if key == "contract_address":
        return str(value).lower()
    if key == "finished":
        return sorted(map(str.lower, value or []))
    if key == "failed":
        return sorted(contract.lower() for contracts in (value or {}).values() for contract in contracts)
    return value


def early_ends(tasks: Tasks, waits: ScenarioWaits) -> Iterator[str]:
    """Say which tasks were reported as finished before the service had said so."""
    answered = waits.first_terminal_answers()
    for wait in waits_of(tasks, waits):
        if wait.task is None or wait.task.state != "success" or wait.task.ended_at is None:
            continue
        if wait.kind in {Kind.COLLECTION, Kind.FRESH}:
            said = [waits.released_at]
        elif wait.kind is Kind.MINTED:
            said = [waits.minted_at]
        else:
            said = [answered.get(contract, float("inf")) for contract in wait.contracts]
        if min(wait.task.ended_at.timestamp(), _finished_at(wait.task)) < max(said):
            yield f"{wait.task.name} ended at {wait.task.ended_at}, before the service said so"


def late_calls(tasks: Tasks, waits: ScenarioWaits) -> Iterator[str]:
    """Say which contracts were asked about more than once after their task had ended."""
    asked_at = defaultdict[str, list[float]](list)
    for call in waits.calls():
        # Tokens are looked at by a second task, after the end of the first.
        if call.state is not None:
            asked_at[call.contract_address or ""].append(call.at)
    for wait in waits_of(tasks, waits):
        if wait.task is None or wait.task.ended_at is None:
            continue
        ended_at = wait.task.ended_at.timestamp()
        for contract in wait.contracts:
            late = sum(at > ended_at for at in asked_at[contract])
            if late > 1:
                yield f"{contract} was asked about {late} times after the end of {wait.task.name}"


def _finished_at(task: Task) -> float:
    moment = task.result.get("finished_at") if isinstance(task.result, dict) else None
    return pendulum.parse(moment).timestamp() if moment else float("inf")  # type: ignore[union-attr]  # an ISO 8601 time
