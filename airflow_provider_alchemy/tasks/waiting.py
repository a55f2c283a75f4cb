# SPDX-License-Identifier: Apache-2.0
"""
The task that waits: in a worker, deferred or rescheduled, with the same rules and exceptions in each.

One wait may go through many processes: worker, database, triggerer, worker again, the next try. What it knows is a
``WaitState``, which goes with the trigger, comes back with its event, and is saved in the task's store for a retry.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.inputs import read_contract_address
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import check_is_no_mapped_nothing
from airflow_provider_alchemy.tasks.deferral import DeferrableTask, no_triggerer_error, read_event
from airflow_provider_alchemy.tasks.exceptions import airflow_exception, skipping

if TYPE_CHECKING:
    from airflow_provider_alchemy.api.settings import ClientSettings
    from airflow_provider_alchemy.triggers.wait import WaitTrigger
    from airflow_provider_alchemy.waits.interval import Interval
    from airflow_provider_alchemy.waits.wait import Wait, WaitState


class WaitingTask(DeferrableTask):
    """The part of a task that leads a wait through its processes. Its subclasses name what they wait for."""

    contract_address: str
    deferrable: bool
    max_consecutive_failures: int | None
    max_compute_units: int | None
    loss_between_pokes: ClassVar[str] = ""
    """What each poke of a rescheduled sensor does anew where Airflow has no store."""

    waits_for_end: bool = True
    """Whether the task waits; else one answer that accepts the refresh is enough."""

    @property
    @abstractmethod
    def trigger_type(self) -> type[WaitTrigger]:
        """The trigger that waits in the triggerer, whose goal every mode has."""

    @abstractmethod
    def interval(self) -> Interval:
        """Give how often the task polls."""

    @abstractmethod
    def time_limit_seconds(self) -> float:
        """Give how long the task waits."""

    @abstractmethod
    def new_state(self, context: Any, contract_address: str, network: str) -> Any:
        """Give a state in which nothing was seen yet, from the rendered arguments."""

    def trigger(self, state: Any) -> WaitTrigger:
        """Give the trigger that goes on from a state."""
        return self.trigger_type(state=lazy.wait.to_json(state), **self.trigger_arguments())

    def resumed(self, saved: Any, new: Any, *, is_same_try: bool) -> Any:
        """Give the state to go on from after an earlier process, None where its state is about something else."""
        if saved.contract_address != new.contract_address:
            return None
        if not is_same_try:
            saved.begin_new_try()
        return saved

    def resume_first_poke(self, state: Any, at: datetime) -> None:
        """Go on without a store after earlier pokes: all that is known is when the first one was."""
        state.started_at = at

    def restore(self, state: Any) -> None:
        """Put back into a state what the trigger's event leaves out because the task knows it."""

    @property
    def is_rescheduled(self) -> bool:
        """Whether the task's process ends between two polls, as a sensor's in mode ``reschedule``."""
        return bool(getattr(self, "reschedule", False)) and not self.deferrable

    def execute(self, context: Any) -> dict[str, Any]:
        """Wait until the goal is reached."""
        self.label_mapped_task(context)
        with skipping(self):
            return self.complete(context, self.wait_for_goal(context))

    def wait_for_goal(self, context: Any, state: Any = None) -> dict[str, Any]:
        wait: Wait | None = None
        try:
            settings = self.read_settings()
            wait = self._wait(self._state(context, settings) if state is None else state, settings.source)
            delay = self._run(context, wait, settings)
        except AlchemyError as error:
            failure = error
        else:
            if delay is not None and self.waits_for_end:
                if self.deferrable:
                    self.defer_until(wait.state.ends_at, self.trigger(wait.state))
                due_at = datetime.now(UTC) + timedelta(seconds=delay)
                raise AirflowRescheduleException(due_at)  # type: ignore[no-untyped-call]  # Airflow's class is not typed
            wait.log_summary()
            return wait.goal.result()
        if wait is not None:
            wait.log_summary()
        return self.fail(failure, wait, context)

    def fail(self, error: AlchemyError, wait: Wait | None, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Fail for an error; a task that knows another way returns its result instead."""
        raise airflow_exception(error, self, context) from None

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on in a worker with what the triggerer saw."""
        self.label_mapped_task(context)
        state_type = self.trigger_type.goal_type.state_type
        _, state, error = read_event(event, state_type, f"Collection {self.contract_address}")
        source = f"connection {self.alchemy_conn_id!r}"
        try:
            self.restore(state)
        except AlchemyError as wrong:
            return self.fail(wrong.about(state.describe(source)), None, context)
        wait = self._wait(state, source)
        if error is not None and self.goes_on_after(error, state):
            return self.complete(context, self.wait_for_goal(context, state))
        self.store(context).save(lazy.wait.to_json(state))
        wait.log_summary()
        return self.complete(context, wait.goal.result() if error is None else self.fail(error, wait, context))

    def goes_on_after(self, error: AlchemyError, state: Any) -> bool:  # noqa: ARG002 - submitting again is a worker's work
        """Whether a worker goes on with a wait that the triggerer could not."""
        return False

    def ended_by_airflow(self, context: Any) -> AlchemyError:  # noqa: ARG002 - the base's
        return no_triggerer_error(f"Collection {self.contract_address}")

    def trigger_arguments(self) -> dict[str, Any]:
        interval = self.interval()
        return {
            "alchemy_conn_id": self.alchemy_conn_id,
            "poll_interval": interval.seconds,
            "max_poll_interval": interval.max_seconds,
            "adaptive": interval.adaptive,
            "exponential_backoff": interval.exponential,
            "max_consecutive_failures": self.max_consecutive_failures,
            "max_compute_units": self.max_compute_units,
        }

    def _state(self, context: Any, settings: ClientSettings, *, has_begun: bool = False) -> Any:
        check_is_no_mapped_nothing(self, context)
        store = self.store(context)
        new = self.new_state(context, read_contract_address(self.contract_address), settings.network)
        # Airflow counts each start as a try, but after a reschedule, a sensor's own or a retry policy's.
        is_rescheduled = self.is_rescheduled or getattr(self, "retry_policy", None) is not None
        has_begun = has_begun or is_rescheduled or not store.is_first_try
        saved, is_same_try = store.load() if has_begun else (None, False)
        saved = lazy.wait.from_json(self.trigger_type.goal_type.state_type, saved)
        state = None if saved is None else self.resumed(saved, new, is_same_try=is_same_try)
        if state is None:
            state = new
            if self.is_rescheduled and store.is_missing:
                self._resume_without_store(state, store.first_poke_at())
        # Where a worker waits Airflow enforces it too, with a signal that Python can lose: in a finalizer, say.
        state.set_deadlines(self.time_limit_seconds(), None if self.is_rescheduled else self.execution_timeout)
        return state

    def _resume_without_store(self, state: Any, first_poke_at: datetime | None) -> None:
        if first_poke_at is not None:
            self.resume_first_poke(state, first_poke_at)
            return
        limit = "" if self.max_compute_units is None else "max_compute_units limits each poke alone"
        losses = "; ".join(loss for loss in (self.loss_between_pokes, limit) if loss)
        if losses:
            words = "Airflow keeps nothing between two pokes before 3.3: %s. deferrable=True and mode='poke' keep it"
            self.log.warning(words, losses)

    def _wait(self, state: WaitState, source: str) -> Wait:
        return lazy.wait.Wait(
            self.trigger_type.goal_type(state),
            source=source,
            interval=self.interval(),
            log=self.log,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
            is_patient=self.waits_for_end,
        )

    def _run(self, context: Any, wait: Wait, settings: ClientSettings, *, polls_once: bool = False) -> float | None:
        """Poll until the goal is reached, or another process makes the next poll, which is due in so many seconds."""
        store = self.store(context)
        # A task that must keep to a spending limit saves what it spent; a rescheduled one has no other memory.
        saves_each_poll = self.is_rescheduled or self.max_compute_units is not None
        saved: Any = None

        def save() -> None:
            nonlocal saved
            if saves_each_poll or wait.goal.milestone() != saved:
                store.save(lazy.wait.to_json(wait.state))
                saved = wait.goal.milestone()

        def leaves() -> bool:
            if self.waits_for_end and not self.deferrable:
                return polls_once or self.is_rescheduled
            return wait.goal.is_accepted()

        async def work() -> float | None:
            async with lazy.shared.open_poller(settings) as api:
                return await wait.run(api, at_once=True, leaves=leaves, on_poll=save)

        try:
            return lazy.event_loop.run_in_thread(work)
        except BaseException:
            # Airflow's time-outs too: a retry goes on from here, and reports all that was spent.
            store.save(lazy.wait.to_json(wait.state))
            raise


class WaitingSensor(WaitingTask, BaseSensorOperator):
    """A task that waits as Airflow's sensors do: poke, reschedule or deferred."""

    only_reads = True

    def interval(self) -> Interval:
        if self.exponential_backoff:
            longest = self.max_wait.total_seconds() if self.max_wait else None
            return lazy.interval.Interval(seconds=self.poke_interval, exponential=True, max_seconds=longest)
        return lazy.interval.Interval(seconds=self.poke_interval)

    def time_limit_seconds(self) -> float:
        return self.timeout

    def poke(self, context: Any) -> PokeReturnValue:
        """Poll once, for callers that call a sensor's poke themselves."""
        try:
            settings = self.read_settings()
            wait = self._wait(self._state(context, settings, has_begun=True), settings.source)
            is_done = self._run(context, wait, settings, polls_once=True) is None
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        return PokeReturnValue(is_done=is_done, xcom_value=wait.goal.result() if is_done else None)
