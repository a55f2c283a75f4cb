# SPDX-License-Identifier: Apache-2.0
"""
Waiting in the triggerer: the one trigger of all waits, its event, and the features that add nothing but their goal.

``ReingestTrigger`` and ``ReingestContractsTrigger`` have modules of their own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_alchemy.api.errors import AlchemyDeadlineError, AlchemyError
from airflow_provider_alchemy.api.inputs import read_connection_id
from airflow_provider_alchemy.defaults import DEFAULT_CONNECTION_ID, DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.waits.freshness import FreshnessGoal, FreshnessState
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.new_tokens import NewTokensGoal
from airflow_provider_alchemy.waits.poller import Poller
from airflow_provider_alchemy.waits.wait import Goal, Wait, from_json, to_json


class WaitEnd(StrEnum):
    """How a wait in the triggerer ended: the ``status`` of its event."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    PROGRESS = "progress"
    """Not ended: a worker saves the progress and defers the rest (batches only)."""


class SerializableTrigger(BaseTrigger):
    """A trigger whose attributes are its arguments, which is all that another triggerer needs to build it again."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = list(inspect.signature(type(self)).parameters)
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}


class WaitTrigger(SerializableTrigger):
    """
    Wait in the triggerer. Its subclasses name what they wait for.

    All triggers of a connection in a triggerer share one HTTP session and one throttle. Its arguments go through the
    metadata database and are readable there: no key among them. The triggerer may start it again at any time, on
    another machine, or twice at once: deadlines are moments, not durations, and what was seen since the worker's last
    poll is asked for again.

    :param state: What the worker has seen, and the deadlines, as JSON values.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls; where ``adaptive``, at least that many. Default 60.
    :param max_poll_interval: Seconds between two polls at most, where ``adaptive`` (default ten minutes) or
        ``exponential_backoff`` (default: no limit).
    :param adaptive: Whether polls follow the progress. Default False.
    :param exponential_backoff: Whether the interval doubles from poll to poll instead. Default False.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param max_compute_units: What the wait may spend in all; default: any amount.
    """

    goal_type: ClassVar[type[Goal[Any]]]

    def __init__(
        self,
        state: dict[str, Any],
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        poll_interval: float = 60.0,
        max_poll_interval: float | None = None,
        adaptive: bool = False,
        exponential_backoff: bool = False,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        self.state = state
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.adaptive = adaptive
        self.exponential_backoff = exponential_backoff
        self.max_consecutive_failures = max_consecutive_failures
        self.max_compute_units = max_compute_units

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll until the goal is reached or the wait has failed.

        :return: One event: ``status`` (``WaitEnd``), ``state`` (what was seen) and ``error`` (or None). Airflow logs
            it and keeps it in the database.
        """
        state, error = self.read_state(), None
        goal = self.goal_type(state)
        try:
            async with shared_poller(read_connection_id(self.alchemy_conn_id), state.network or None) as api:
                state.network = api.settings.network
                await self.wait_for(goal, api)
        except AlchemyError as failure:
            error = failure
        yield await self.event(goal, error)

    async def wait_for(
        self, goal: Goal[Any], api: Poller, *, is_patient: bool = True, leaves: Callable[[], bool] = lambda: False
    ) -> Wait:
        wait = Wait(
            goal,
            source=api.settings.source,
            interval=Interval(
                seconds=self.poll_interval,
                max_seconds=self.max_poll_interval,
                adaptive=self.adaptive,
                exponential=self.exponential_backoff,
            ),
            log=self.log,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
            is_patient=is_patient,
        )
        await wait.run(api, leaves=leaves)
        return wait

    async def event(self, goal: Goal[Any], error: AlchemyError | None) -> TriggerEvent:
        is_timeout = isinstance(error, AlchemyDeadlineError)
        status = WaitEnd.FINISHED if error is None else WaitEnd.TIMED_OUT if is_timeout else WaitEnd.FAILED
        return event_of(status, self.event_state(goal.state), error)

    def read_state(self) -> Any:
        """Rebuild the state; raises ValueError where it is none, which fails this trigger's task alone."""
        state = from_json(self.goal_type.state_type, self.state)
        if state is None:
            msg = f"argument 'state' is {str(self.state)[:200]!r} and no state of a wait"
            raise ValueError(msg)
        return state

    def event_state(self, state: Any) -> dict[str, Any]:
        """Give the state for the event, without what the task knows anyway."""
        return to_json(state)


class FreshnessTrigger(WaitTrigger):
    """Wait until tokens of a collection are proven fresh; it refreshes nothing."""

    goal_type = FreshnessGoal

    def event_state(self, state: FreshnessState) -> dict[str, Any]:
        """Give the state without the tokens where the task was given them and so knows them."""
        return to_json(state) | ({} if state.sample_size is not None else {"ids": None})


class NewTokensTrigger(WaitTrigger):
    """Wait until tokens of a collection are minted on the chain."""

    goal_type = NewTokensGoal


class NextAttemptTrigger(SerializableTrigger):
    """Wait until a moment (ISO 8601): no duration, so that a restart does not begin anew."""

    def __init__(self, due_at: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's class is not typed
        self.due_at = due_at

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(max(0.0, (datetime.fromisoformat(self.due_at) - datetime.now(UTC)).total_seconds()))
        yield TriggerEvent({"status": "due"})  # type: ignore[no-untyped-call]  # as above


def event_of(status: WaitEnd, state: dict[str, Any], error: AlchemyError | None) -> TriggerEvent:
    payload = {"status": status.value, "state": state, "error": error.to_dict() if error else None}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed
