# SPDX-License-Identifier: Apache-2.0
"""
What the DAGs of a soak and those who start them both know: the kinds of waits, and how each of them ends.

A kind is a DAG with one task. Every run of it has a collection of its own, given as the run's parameters; but the waits
that start in the triggerer take a literal contract only, so their runs share one, one run after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TASK = "wait"
CONTRACT, CONTRACTS, SINCE, SINCE_BLOCK, UNTIL = (
    "contract_address",
    "contract_addresses",
    "since",
    "since_block",
    "until",
)
"""The parameters of the runs."""

WATCHED = "soak_watched"
"""The DAG that announcements on the chain start, and its asset."""
WATCHED_CONTRACT = f"0x{0x50AC << 96:040x}"
CONFIRMATIONS = 1

BATCH_SIZE = 3
TOKENS = 20
SAMPLE = 5


class Kind(StrEnum):
    """A kind of wait; the value is its DAG."""

    SENSOR = "soak_sensor"
    SENSOR_IN_TRIGGERER = "soak_sensor_in_triggerer"
    OPERATOR = "soak_operator"
    OPERATOR_IN_TRIGGERER = "soak_operator_in_triggerer"
    BATCH = "soak_batch"
    COLLECTION = "soak_collection"
    FRESH = "soak_fresh"
    MINTED = "soak_minted"
    RESUBMITTED = "soak_resubmitted"
    QUEUE_FAILED = "soak_queue_failed"
    DOES_NOT_EXIST = "soak_does_not_exist"
    TIMED_OUT = "soak_timed_out"
    CORE_WAIT = "soak_core_wait"
    CORE_WAIT_IN_TRIGGERER = "soak_core_wait_in_triggerer"
    CORE_FAILED = "soak_core_failed"

    @property
    def ending(self) -> Ending:
        """How its waits end."""
        return ENDINGS.get(self, Ending())


LITERAL_CONTRACTS = {
    kind: f"0x{(0x50AC << 96) + number:040x}"
    for number, kind in enumerate((Kind.SENSOR_IN_TRIGGERER, Kind.OPERATOR_IN_TRIGGERER, Kind.DOES_NOT_EXIST), start=1)
}


@dataclass(frozen=True)
class Ending:
    """
    The right end of a wait.

    :param state: The run's state.
    :param reason: What the log of a task that fails says, so that one that fails for another reason is found.
    """

    state: str = "success"
    reason: str = ""


ENDINGS = {
    Kind.QUEUE_FAILED: Ending("failed", "queue_failed"),
    Kind.DOES_NOT_EXIST: Ending("failed", "does_not_exist"),
    Kind.TIMED_OUT: Ending("failed", "AlchemyDeadlineError"),
    Kind.CORE_FAILED: Ending("failed", "it was told to fail"),
}
"""The kinds that fail; the others end well."""


class Load(StrEnum):
    """What a soak starts."""

    ALCHEMY = "alchemy"
    CORE = "core"
    IDLE = "idle"

    @property
    def turn(self) -> tuple[Kind, ...]:
        """The kinds in the order in which they are started, again and again."""
        return TURNS[self]


TURNS: dict[Load, tuple[Kind, ...]] = {
    Load.ALCHEMY: (
        Kind.SENSOR,
        Kind.SENSOR_IN_TRIGGERER,
        Kind.FRESH,
        Kind.DOES_NOT_EXIST,
        Kind.OPERATOR,
        Kind.OPERATOR_IN_TRIGGERER,
        Kind.MINTED,
        Kind.QUEUE_FAILED,
        Kind.BATCH,
        Kind.RESUBMITTED,
        Kind.COLLECTION,
        Kind.TIMED_OUT,
    ),
    # The same number of waits, as many of them in the triggerer alone, and as many that fail.
    Load.CORE: (
        Kind.CORE_WAIT,
        Kind.CORE_WAIT_IN_TRIGGERER,
        Kind.CORE_WAIT,
        Kind.CORE_FAILED,
        Kind.CORE_WAIT,
        Kind.CORE_WAIT_IN_TRIGGERER,
        Kind.CORE_WAIT,
        Kind.CORE_FAILED,
        Kind.CORE_WAIT,
        Kind.CORE_WAIT,
        Kind.CORE_WAIT,
        Kind.CORE_FAILED,
    ),
    Load.IDLE: (),
}
