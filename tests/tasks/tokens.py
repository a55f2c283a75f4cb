# SPDX-License-Identifier: Apache-2.0
"""The life of a task that refreshes a collection's tokens, its tries, and the proof that it told the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS, LOWER, Life, StateStore, TaskInstance

BATCH, QUEUE, LISTING, METADATA = (
    "getNFTMetadataBatch",
    "refreshNftMetadata",
    "getNFTsForContract",
    "getContractMetadata",
)
RESULT_KEYS = {
    *("contract_address", "network", "state", "progress", "already_finished", "submitted_at", "finished_at", "polls"),
    *("compute_units", "usd", "method", "counts", "failures", "duration_seconds"),
}


def refresh(**arguments: Any) -> RefreshCollectionOperator:
    """Build a task; with an interval below Alchemy's only where ``short_intervals`` allows it."""
    defaults: dict[str, Any] = {"task_id": "refresh", "contract_address": ADDRESS, "retries": 2}
    return RefreshCollectionOperator(**{**defaults, **arguments})


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> float:
    """Let tokens be tried again, and tasks be deferred, after hundredths of a second; give the interval."""
    monkeypatch.setattr("airflow_provider_alchemy.operators.collection.MIN_SECONDS_BETWEEN_ATTEMPTS", 0.0)
    monkeypatch.setattr("airflow_provider_alchemy.tasks.collection.MIN_DEFERRAL_SECONDS", 0.01)
    return 0.05


@dataclass
class PushingInstance(TaskInstance):
    """A task instance with XComs."""

    max_tries: int = 2
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))


class WorkerIsKilled(BaseException):
    """What ends a worker at once."""


@dataclass
class MortalStore(StateStore):
    """A store whose worker dies with the save of a given number: SIGKILL, as far as the store can tell."""

    dies_at: int | None = None
    saves: int = 0
    fails_at: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        super().__init__()

    def set(self, key: str, value: Any) -> None:
        self.saves += 1
        if self.dies_at is not None and self.saves >= self.dies_at:
            raise WorkerIsKilled
        if self.saves in self.fails_at:
            msg = "the API server is away"
            raise ConnectionError(msg)
        super().set(key, value)

    @property
    def record(self) -> dict[str, Any]:
        """What the only record holds."""
        found: dict[str, Any] = self.get("alchemy_collection")["state"]
        return found


@dataclass
class Tries:
    """The tries of one task instance, and what outlives them."""

    ti: PushingInstance = field(default_factory=PushingInstance)
    store: MortalStore | None = field(default_factory=MortalStore)
    life: Life = field(default_factory=Life)

    @property
    def context(self) -> dict[str, Any]:
        known: dict[str, Any] = {"ti": self.ti, "task_reschedule_count": 0}
        return known if self.store is None else {**known, "task_state_store": self.store}

    def lead(self, task: Any) -> Any:
        """Run a try to its end and give what it returns; what it raises at its end is raised."""
        return self.life.lead(task, self.context)

    def failure(self, task: Any) -> BaseException:
        """Run a try and give what it raises at its end."""
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - what it raises is what is looked at
            self.lead(task)
        return caught.value

    def killed(self, task: Any, saves: int) -> None:
        """Run a try whose worker dies with its save of that number."""
        assert self.store is not None
        self.store.dies_at = self.store.saves + saves
        with pytest.raises(WorkerIsKilled):
            self.lead(task)
        self.store.dies_at = None

    def next_try(self) -> None:
        """Begin another try, as Airflow does: its XComs are cleared."""
        self.ti = PushingInstance(try_number=self.ti.try_number + 1)

    def clear(self) -> None:
        """Let a user clear the task: Airflow raises max_tries by the tries used."""
        self.ti = PushingInstance(try_number=self.ti.try_number + 1, max_tries=self.ti.max_tries + self.ti.try_number)


def first_requests(emulator: AlchemyEmulator) -> dict[int, float]:
    """Give the moment of the first request for each token's refresh."""
    found: dict[int, float] = {}
    for call in emulator.calls:
        for token_id in call.token_ids if call.refreshes else ():
            found.setdefault(token_id, call.at)
    return found


def really_refreshed(emulator: AlchemyEmulator, address: str = ADDRESS, network: str = "eth-mainnet") -> set[int]:
    """Give the tokens whose metadata is newer than the first request for them."""
    return {
        token_id
        for token_id, asked_at in first_requests(emulator).items()
        # The emulator rounds up to milliseconds by way of microseconds.
        if emulator.time_last_updated(address, token_id, network) >= asked_at - 1e-6
    }


def counts(tokens: int, *, stale: int = 0, failed: int = 0) -> dict[str, int]:
    """Give the counts of a result in which all other tokens are refreshed."""
    return {"tokens": tokens, "refreshed": tokens - stale - failed, "stale": stale, "failed": failed}


@contextmanager
def calls_meanwhile(emulator: AlchemyEmulator) -> Iterator[Callable[[str | None], list[Any]]]:
    """Give the calls that are made meanwhile, of an endpoint or of any."""
    before = emulator.count()
    yield lambda endpoint: [call for call in emulator.calls[before:] if call.matches(endpoint, LOWER)]
