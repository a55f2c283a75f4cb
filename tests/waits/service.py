# SPDX-License-Identifier: Apache-2.0
"""A service that answers what a test says, in time that passes only where everything sleeps."""

from __future__ import annotations

import asyncio
import logging
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pendulum
import time_machine

from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage, paid
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.poller import Poller
from airflow_provider_alchemy.waits.reingest import ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import Goal, Wait, WaitState

T = TypeVar("T")

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
CONTRACT = "0xe9fca552b9eb110c2d170962af740725f71f5644"
SOURCE = "connection 'mine'"
SUBJECT = f"Collection {CONTRACT} on eth-mainnet ({SOURCE})"
PRICE = 480
"""Compute units of a poll of a refresh, or for up to a hundred tokens."""

LOG = logging.getLogger("tests.waits")

Lines = Callable[[int], list[str]]
"""Gives the lines of a level."""


def address(number: int) -> str:
    return f"0x{number:040x}"


def in_seconds(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class Clock:
    """Leads an event loop and the time of day, from ``NOW`` on."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self.seconds = 0.0
        self._traveller = traveller

    def shift(self, seconds: float) -> None:
        self.seconds += seconds
        self._traveller.move_to(in_seconds(self.seconds))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work to its end, however long it sleeps; fails where it would sleep for ever."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(work)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        super().__init__(_Selector(clock))
        self._clock = clock

    def time(self) -> float:
        return self._clock.seconds


class _Selector(selectors.SelectSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            msg = "everything waits, and nothing will happen any more"
            raise RuntimeError(msg)
        self._clock.shift(max(timeout, 0))
        return super().select(0)


class Service(Poller):
    """
    A poller whose calls a test answers: with JSON, the state of a refresh, a coroutine of one of these, or an error.

    :param answers: One answer for each call, or a function that gives it.
    """

    def __init__(self, *answers: Any, answer: Callable[[Call[Any]], Any] | None = None, **settings: Any) -> None:
        defaults: dict[str, Any] = {"api_key": "some-key", "source": SOURCE, "verify": False}
        super().__init__(ClientSettings(**defaults | settings))
        self.answers = list(answers)
        self.calls: list[Call[Any]] = []
        self.asked_at: list[float] = []
        self.attempts: list[int] = []
        """How many attempts each call may take."""
        self._answer = answer or (lambda _: self.answers.pop(0))

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage,
        max_attempts: int,
        spending_limit: SpendingLimit | None = None,
        deadline: datetime | None = None,
        retries_unexpected: bool = False,
    ) -> T:
        del deadline, retries_unexpected
        price = call.endpoint.compute_units
        with paid(price, spending_limit or SpendingLimit(), usage) as spent:
            self.calls.append(call)
            self.asked_at.append(asyncio.get_running_loop().time())
            self.attempts.append(max_attempts)
            spent.calls, spent.first_call_at = 1, pendulum.now("UTC")
            answer = self._answer(call)
            if asyncio.iscoroutine(answer):
                answer = await answer
            if isinstance(answer, Exception):
                raise answer
            spent.compute_units = price
        return call.read(refresh(answer) if isinstance(answer, str) else answer)

    @property
    def contracts(self) -> list[str]:
        """The contracts that were asked about, one for each call."""
        return [call.params["contractAddress"] for call in self.calls]


def refresh(state: str, progress: float | None = None) -> dict[str, Any]:
    """Give an answer of ``reingestContract``."""
    return {"reingestionState": state, "progress": progress}


def wait_for(goal: Goal[Any], *, seconds: float = 60, **rules: Any) -> Wait:
    return Wait(goal, source=SOURCE, **{"interval": Interval(seconds=seconds), "log": LOG, **rules})


def known(state_type: type[WaitState], **values: Any) -> Any:
    """Give a state of the collection that all tests are about."""
    return state_type(**{"contract_address": CONTRACT, "network": "eth-mainnet", **values})


class Polls:
    """The polls of one wait, made when a test says so and not when they are due."""

    def __init__(self, clock: Clock, goal: Goal[Any], *, seconds: float = 60, **rules: Any) -> None:
        self._clock = clock
        self.wait = wait_for(goal, seconds=seconds, **rules)
        self.state: Any = goal.state
        self.service = Service()
        self.delays: list[float | None] = []

    def __call__(self, *answers: Any) -> float | None:
        """Poll once for each answer; give the delay after the last."""
        self.service.answers += answers
        for _ in answers:
            self.delays.append(self._clock.run(self.wait.poll(self.service)))
        return self.delays[-1]


def refreshing(**values: Any) -> ReingestGoal:
    return ReingestGoal(known(ReingestState, **values))
