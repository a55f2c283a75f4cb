# SPDX-License-Identifier: Apache-2.0
"""Waiting in the triggerer: ``WaitTrigger`` for every feature, and ``ReingestTrigger`` for a collection's refresh."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_alchemy.api.errors import AlchemyDeadlineError, AlchemyError
from airflow_provider_alchemy.api.inputs import pack_addresses, read_contract_address, unpack_addresses
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.links.collection import link_xcoms
from airflow_provider_alchemy.waits.batch import Batch, BatchState, BatchWait
from airflow_provider_alchemy.waits.freshness import FreshnessGoal, FreshnessState
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.new_tokens import NewTokensGoal
from airflow_provider_alchemy.waits.reingest import ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import DEFAULT_MAX_CONSECUTIVE_FAILURES, Goal, Wait, from_json, in_utc, to_json

BACK_STOP = timedelta(minutes=10)
"""How long after the trigger's own deadline Airflow ends the wait: for a triggerer that is gone."""


class WaitEnd(StrEnum):
    """How a wait in the triggerer ended: the ``status`` of its event."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    PROGRESS = "progress"
    """Not ended: a worker saves the progress and defers the rest (batches only)."""


class WaitTrigger(BaseTrigger):
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
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
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

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        return _serialized(self)

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

    async def wait_for(self, goal: Goal[Any], api: Any) -> None:
        """Wait until the goal is reached."""
        await self.wait(goal, api.settings.source).run(api)

    def wait(self, goal: Goal[Any], source: str) -> Wait:
        """Give the wait for a goal."""
        return Wait(
            goal,
            source=source,
            interval=Interval(
                seconds=self.poll_interval,
                max_seconds=self.max_poll_interval,
                adaptive=self.adaptive,
                exponential=self.exponential_backoff,
            ),
            log=self.log,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )

    async def event(self, goal: Goal[Any], error: AlchemyError | None) -> TriggerEvent:
        """Give the event of a wait that has ended."""
        is_timeout = isinstance(error, AlchemyDeadlineError)
        status = WaitEnd.FINISHED if error is None else WaitEnd.TIMED_OUT if is_timeout else WaitEnd.FAILED
        return _event(status, self.event_state(goal.state), error)

    def read_state(self) -> Any:
        """Rebuild the state; raises ValueError where it is none, which fails this trigger's task alone."""
        state = self.goal_type.read_state(self.state)
        if state is None:
            msg = f"argument 'state' is {str(self.state)[:200]!r} and no state of a wait"
            raise ValueError(msg)
        return state

    def event_state(self, state: Any) -> dict[str, Any]:
        """Give the state for the event, without what the task knows anyway."""
        return to_json(state)


class ReingestTrigger(WaitTrigger):
    """
    Wait until a collection's refresh has ended.

    It submits nothing that the worker has not submitted, unless the task starts here.

    :param contract_address: The collection's contract.
    :param network: The network's slug; default: the connection's.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls; where ``adaptive``, at least that many. Default 60: a poll costs
        480 compute units.
    :param max_poll_interval: Seconds between two polls at most, where ``adaptive`` (default ten minutes) or
        ``exponential_backoff`` (default: no limit).
    :param adaptive: Whether polls follow the refresh's progress. Default True.
    :param exponential_backoff: Whether the interval doubles from poll to poll instead. Default False.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param max_compute_units: What the wait may spend in all; default: any amount.
    :param state: What the worker has seen, and the deadlines, as JSON values; default: nothing, and no deadline.
    :param starts_here: Whether no worker has run before: the trigger then submits the refresh itself, and the
        arguments below count.
    :param ends_here: Whether a wait that ends well ends the task here. One that fails ends in a worker all the same,
        where callbacks, retry policies and ``soft_fail`` see the exception.
    :param wait_for_completion: Whether to wait for the refresh's end. Default True.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 0.
    :param timeout: Seconds until the wait gives up; default: never.
    :param execution_timeout: Seconds until the task's ``execution_timeout`` is over; default: never.
    :param do_xcom_push: Whether the result is pushed, where the task ends here. Default True.
    :param multiple_outputs: Whether each key of the result is an XCom of its own as well, where the task ends here.
        Default: only ``contract_address``, because each costs as much as several polls.
    """

    goal_type = ReingestGoal

    def __init__(
        self,
        contract_address: str,
        network: str | None = None,
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        poll_interval: float = 60.0,
        max_poll_interval: float | None = None,
        adaptive: bool = True,
        exponential_backoff: bool = False,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
        state: dict[str, Any] | None = None,
        starts_here: bool = False,
        ends_here: bool = False,
        wait_for_completion: bool = True,
        max_resubmits: int = 0,
        timeout: float | None = None,
        execution_timeout: float | None = None,
        do_xcom_push: bool = True,
        multiple_outputs: bool | None = None,
    ) -> None:
        super().__init__(
            state or {},
            alchemy_conn_id,
            poll_interval,
            max_poll_interval,
            adaptive,
            exponential_backoff,
            max_consecutive_failures,
            max_compute_units,
        )
        self.contract_address = contract_address
        self.network = network
        self.starts_here = starts_here
        self.ends_here = ends_here
        self.wait_for_completion = wait_for_completion
        self.max_resubmits = max_resubmits
        self.timeout = timeout
        self.execution_timeout = execution_timeout
        self.do_xcom_push = do_xcom_push
        self.multiple_outputs = multiple_outputs

    async def wait_for(self, goal: Goal[Any], api: Any) -> None:
        """Wait until the refresh has ended, or was accepted where nothing more is wanted."""
        goal.state.contract_address = read_contract_address(self.contract_address)
        wait = self.wait(goal, api.settings.source)
        wait.is_patient = self.wait_for_completion
        await wait.run(api, leaves=lambda: not self.wait_for_completion and goal.is_accepted())
        if self.ends_here:
            wait.log_summary()

    async def event(self, goal: Goal[Any], error: AlchemyError | None) -> TriggerEvent:
        """Give the event, one that ends the task where it may end here."""
        # Code that runs a trigger and its task in one process (``airflow dags test``) gives it no task instance to end.
        if error is None and self.ends_here and self.task_instance is not None:
            result = goal.result()
            try:
                if self.do_xcom_push:
                    await _push_result(self.task_instance, result, multiple_outputs=self.multiple_outputs)
            except Exception as failure:  # noqa: BLE001 - the refresh is done and paid for: a worker can push as well
                self.log.warning("Could not push the result from the triggerer, a worker ends the task: %s", failure)
            else:
                return _success_event(result)
        return await super().event(goal, error)

    async def on_kill(self) -> None:
        """Say that a refresh cannot be stopped: Alchemy has no call for it."""
        self.log.info("The refresh of %s goes on at Alchemy, which cannot cancel it", self.contract_address)

    def read_state(self) -> ReingestState:
        """Rebuild the state; where there is none, nothing was seen yet."""
        known = {"contract_address": str(self.contract_address).lower(), "network": self.network or "", **self.state}
        state = from_json(ReingestState, known) or ReingestState(contract_address=known["contract_address"])
        if self.starts_here:
            state.started_at = began_at = self._began_at()
            state.deadline = _after(began_at, self.timeout)
            state.execution_deadline = _after(began_at, self.execution_timeout)
            state.max_resubmits = self.max_resubmits
        return state

    def _began_at(self) -> datetime:
        """
        Tell when the task started here.

        The triggerer may start the trigger again at any time, and knows nothing of the first time but when Airflow
        will end the wait. Airflow computed that once, from the start of the task.
        """
        # Airflow 2 leaves the moment at the task instance.
        ends_at: datetime | None = getattr(self, "timeout_after", None) or getattr(
            self.task_instance, "trigger_timeout", None
        )
        limits = [] if self.timeout is None else [self.timeout + BACK_STOP.total_seconds()]
        limits += [] if self.execution_timeout is None else [self.execution_timeout]
        now = datetime.now(UTC)
        if ends_at is None or not limits:
            return now
        return min(in_utc(ends_at) - timedelta(seconds=min(limits)), now)


def _after(began_at: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else began_at + timedelta(seconds=seconds)


async def _push_result(task_instance: Any, result: dict[str, Any], *, multiple_outputs: bool | None) -> None:
    """
    Push what the task returns, as a worker would.

    XComs that are given to ``TaskSuccessEvent`` reach the next task as JSON text, not as the value (Airflow 3.3), so
    the result goes over the channel that the triggerer gives its triggers, before the event ends the task.
    """
    keys = ("contract_address",) if multiple_outputs is None else tuple(result) if multiple_outputs else ()
    place = {name: getattr(task_instance, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
    for key in keys:
        await XCom.aset(key=key, value=result[key], **place)
    # A downstream task that maps over the result needs its length. The worker knows whether there is one, the
    # triggerer does not; pushed for nothing it does no harm.
    length = len(result) if task_instance.map_index < 0 else None
    await XCom.aset(key="return_value", value=result, _mapped_length=length, **place)


def _success_event(result: dict[str, Any]) -> TriggerEvent:
    # The links go with the event: the web UI reads JSON text as well, and each message costs as much as several polls.
    return TaskSuccessEvent(xcoms=dict(link_xcoms(result)))


class FreshnessTrigger(WaitTrigger):
    """Wait until tokens of a collection are proven fresh; it refreshes nothing."""

    goal_type = FreshnessGoal

    def event_state(self, state: FreshnessState) -> dict[str, Any]:
        """Give the state without the tokens where the task was given them and so knows them."""
        return to_json(state) | ({} if state.sample_size is not None else {"ids": None})


class NewTokensTrigger(WaitTrigger):
    """Wait until tokens of a collection are minted on the chain."""

    goal_type = NewTokensGoal


class ReingestContractsTrigger(BaseTrigger):
    """
    Submit the refreshes of many collections, and wait until all have ended.

    Like ``WaitTrigger`` it shares session and throttle, may be started again at any time, and keeps no key in its
    arguments. What a killed triggerer has seen since the last progress is asked for again.

    :param contract_addresses: The collections' contracts, each once, checked and in lower case; or packed
        (``pack_addresses``).
    :param state: What is known of the batch, and its deadlines, as JSON values.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls of a contract; where ``adaptive``, at least that many. Default 60.
    :param max_poll_interval: Seconds between two polls at most, where ``adaptive``. Default ten minutes.
    :param adaptive: Whether polls follow each refresh's progress. Default True.
    :param max_consecutive_failures: Polls of a contract in a row that may fail; None: any number. Default 10.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 3.
    :param max_compute_units: What the batch may spend in all; default: any amount.
    """

    def __init__(
        self,
        contract_addresses: str | Sequence[str],
        state: dict[str, Any],
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        poll_interval: float = 60.0,
        max_poll_interval: float | None = None,
        adaptive: bool = True,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_resubmits: int = 3,
        max_compute_units: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        if not isinstance(contract_addresses, str):
            contract_addresses = pack_addresses(contract_addresses)
        self.contract_addresses = contract_addresses
        self.state = state
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.adaptive = adaptive
        self.max_consecutive_failures = max_consecutive_failures
        self.max_resubmits = max_resubmits
        self.max_compute_units = max_compute_units

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        return _serialized(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Submit and poll until every contract has ended, the batch cannot go on, or its progress is to be saved.

        :return: One event: ``status`` (``WaitEnd``), ``state`` (what was seen) and ``error`` (what stopped the batch,
            or None). Airflow logs it and keeps it in the database.
        """
        state = from_json(BatchState, self.state)
        if state is None:
            msg = f"argument 'state' is {str(self.state)[:200]!r} and no state of a batch"
            raise ValueError(msg)
        batch, error, has_ended = Batch(state, unpack_addresses(self.contract_addresses)), None, False
        try:
            async with shared_poller(read_connection_id(self.alchemy_conn_id), state.network) as api:
                has_ended = await BatchWait(
                    batch,
                    source=api.settings.source,
                    interval=Interval(
                        seconds=self.poll_interval, adaptive=self.adaptive, max_seconds=self.max_poll_interval
                    ),
                    log=self.log,
                    max_consecutive_failures=self.max_consecutive_failures,
                    max_resubmits=self.max_resubmits,
                    max_compute_units=self.max_compute_units,
                ).run(api)
        except AlchemyError as failure:
            error = failure
        status = WaitEnd.FAILED if error else WaitEnd.FINISHED if has_ended else WaitEnd.PROGRESS
        yield _event(status, to_json(batch.pack()), error)

    async def on_kill(self) -> None:
        """Say that refreshes cannot be stopped: Alchemy has no call for it."""
        self.log.info("The refreshes that were submitted go on at Alchemy, which cannot cancel them")


def _serialized(trigger: BaseTrigger) -> tuple[str, dict[str, Any]]:
    names = list(inspect.signature(type(trigger)).parameters)
    path = f"{type(trigger).__module__}.{type(trigger).__qualname__}"
    return path, {name: getattr(trigger, name) for name in names}


def _event(status: WaitEnd, state: dict[str, Any], error: AlchemyError | None) -> TriggerEvent:
    payload = {"status": status.value, "state": state, "error": error.to_dict() if error else None}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed
