# SPDX-License-Identifier: Apache-2.0
"""
What the DAGs of the scale benchmark and those who start them both know: who waits, for which collection, how long.

Many small DAGs, since Airflow gives each trigger of a task that starts in the triggerer a copy of its whole DAG.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

TASK = "wait"
WORKER_DAG = "scale_in_workers"
WAITS_VARIABLE, DAG_SIZE_VARIABLE, WORKER_WAITS_VARIABLE = "SCALE_WAITS", "SCALE_DAG_SIZE", "SCALE_WORKER_WAITS"
XCOMS_VARIABLE = "SCALE_XCOMS"
"""The environment variables in which the DAG files find what there is to do."""


class Side(StrEnum):
    """Where a wait begins and ends."""

    TRIGGERER = "triggerer"
    WORKERS = "workers"


@dataclass(frozen=True)
class Place:
    """
    The task instance of a wait.

    :param dag_id: Its DAG.
    :param task_id: Its task.
    :param map_index: Its index in a mapped task, else -1.
    """

    dag_id: str
    task_id: str
    map_index: int = -1


def contract_of(side: Side, number: int) -> str:
    """
    Name the collection of a wait: one that no other wait has.

    :param side: Where it begins and ends.
    :param number: Its number there, from 0.
    :return: A contract address in lower case.
    """
    return f"0x{list(Side).index(side) + 1:08x}{number:032x}"


def dags_of(waits: int, size: int) -> dict[str, range]:
    """
    Share the waits of the triggerers out to DAGs.

    :param waits: How many.
    :param size: How many a DAG has, the last one perhaps fewer.
    :return: DAG to the numbers of its waits.
    """
    return {f"scale_{first // size:04}": range(first, min(first + size, waits)) for first in range(0, waits, size)}


def task_of(number: int) -> str:
    """
    Name the task of a wait in the triggerer.

    :param number: Its number.
    :return: The task's id.
    """
    return f"{TASK}_{number}"


def places_of(waits: int, size: int, worker_waits: int) -> dict[Place, str]:
    """
    List all waits.

    :param waits: How many begin and end in the triggerer.
    :param size: How many of these a DAG has.
    :param worker_waits: How many go through workers.
    :return: Task instance to contract address.
    """
    in_triggerer = {
        Place(dag_id, task_of(number)): contract_of(Side.TRIGGERER, number)
        for dag_id, numbers in dags_of(waits, size).items()
        for number in numbers
    }
    in_workers = {Place(WORKER_DAG, TASK, number): contract_of(Side.WORKERS, number) for number in range(worker_waits)}
    return in_triggerer | in_workers


def side_of(place: Place) -> Side:
    """
    Tell where a wait begins and ends.

    :param place: Its task instance.
    :return: Where.
    """
    return Side.WORKERS if place.dag_id == WORKER_DAG else Side.TRIGGERER


def job_seconds(contracts: list[str], shortest: float, spread: float, seed: int = 0) -> dict[str, float]:
    """
    Decide how long each collection's refresh takes.

    :param contracts: The collections.
    :param shortest: Seconds that each takes at least.
    :param spread: Seconds that one takes at most beyond that.
    :param seed: Of the dice, so that two runs have the same jobs.
    :return: Contract address to seconds.
    """
    dice = random.Random(seed)  # noqa: S311 - lengths of jobs, no secrets
    return {contract: round(shortest + dice.uniform(0, spread), 3) for contract in contracts}
