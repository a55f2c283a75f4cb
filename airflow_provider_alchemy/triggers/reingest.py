# SPDX-License-Identifier: Apache-2.0
"""The wait for a collection's refresh in the triggerer, where a task may also start and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.inputs import read_contract_address
from airflow_provider_alchemy.defaults import BACK_STOP, DEFAULT_CONNECTION_ID, DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.links.collection import link_xcoms
from airflow_provider_alchemy.triggers.wait import WaitTrigger
from airflow_provider_alchemy.waits.poller import Poller
from airflow_provider_alchemy.waits.reingest import ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import Goal, Wait, from_json, in_utc


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
    :param multiple_outputs: Whether each key of the result is an XCom of its own, where the task ends here. Default:
        only ``contract_address``, because each costs as much as several polls.
    """

    goal_type = ReingestGoal

    def __init__(
        self,
        contract_address: str,
        network: str | None = None,
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
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
        multiple_outputs: bool = False,
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

    async def wait_for(self, goal: Goal[Any], api: Poller, **_: Any) -> Wait:
        goal.state.contract_address = read_contract_address(self.contract_address)
        is_patient = self.wait_for_completion
        wait = await super().wait_for(
            goal, api, is_patient=is_patient, leaves=lambda: not is_patient and goal.is_accepted()
        )
        if self.ends_here:
            wait.log_summary()
        return wait

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


async def _push_result(task_instance: Any, result: dict[str, Any], *, multiple_outputs: bool) -> None:
    """
    Push what the task returns, as a worker would.

    XComs that are given to ``TaskSuccessEvent`` reach the next task as JSON text, not as the value (Airflow 3.3), so
    the result goes over the channel that the triggerer gives its triggers, before the event ends the task.
    """
    keys = tuple(result) if multiple_outputs else ("contract_address",)
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
