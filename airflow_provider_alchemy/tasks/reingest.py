# SPDX-License-Identifier: Apache-2.0
"""What operator and sensor of ``reingestContract`` share."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyQueueFailedError,
)
from airflow_provider_alchemy.defaults import BACK_STOP
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.placement import LateStartTriggerArgs, ends_in_triggerer
from airflow_provider_alchemy.tasks.waiting import WaitingTask

if TYPE_CHECKING:
    from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
    from airflow_provider_alchemy.waits.reingest import ReingestState


class ReingestTask(WaitingTask):
    start_trigger_args = LateStartTriggerArgs()
    store_key = "alchemy_reingest"

    max_resubmits: int = 0
    start_from_trigger: bool
    end_from_trigger: bool

    @property
    def trigger_type(self) -> type[ReingestTrigger]:
        return lazy.reingest_trigger.ReingestTrigger

    def new_state(self, context: Any, contract_address: str, network: str) -> ReingestState:  # noqa: ARG002
        return lazy.reingest.ReingestState(
            contract_address=contract_address, network=network, max_resubmits=self.max_resubmits
        )

    def resumed(self, saved: ReingestState, new: ReingestState, *, is_same_try: bool) -> ReingestState | None:
        """Join the refresh that an earlier process submitted, unless it failed."""
        if saved.status in lazy.reingest.FAILED or super().resumed(saved, new, is_same_try=is_same_try) is None:
            return None
        saved.network, saved.max_resubmits = new.network, new.max_resubmits
        if not is_same_try:
            saved.queue_failures = 0
            self.log.info(
                "An earlier try submitted the refresh of %s at %s: joining it",
                saved.contract_address,
                saved.submitted_at,
            )
        return saved

    def resume_first_poke(self, state: ReingestState, at: datetime) -> None:
        """Go on without a store after earlier pokes: they submitted the refresh, so no answer is the first."""
        super().resume_first_poke(state, at)
        state.submitted_at, state.status = at, lazy.models.RefreshState.UNKNOWN.value

    def goes_on_after(self, error: AlchemyError, state: ReingestState) -> bool:
        """Submit again what could not be queued: the triggerer submits nothing."""
        return isinstance(error, AlchemyQueueFailedError) and state.queue_failures <= self.max_resubmits

    def restore(self, state: ReingestState) -> None:
        """Let the worker submit as often as the task may; the trigger did not."""
        state.max_resubmits = self.max_resubmits

    def on_kill(self) -> None:
        self.log.info("The refresh of %s goes on at Alchemy, which cannot cancel it", self.contract_address)

    def ended_by_airflow(self, context: Any) -> AlchemyError:
        """Give the error of a wait that Airflow ended: for its execution_timeout where it started in the triggerer."""
        seconds = self.execution_timeout.total_seconds() if self.execution_timeout else math.inf
        if self.start_from_trigger and seconds <= self.time_limit_seconds() + BACK_STOP.total_seconds():
            msg = "the refresh had not ended when the task's execution_timeout was over"
            return AlchemyExecutionDeadlineError(msg, subject=f"Collection {self.contract_address}")
        return super().ended_by_airflow(context)

    def trigger(self, state: ReingestState) -> ReingestTrigger:
        """Give the trigger that goes on from a state; it submits nothing."""
        state.max_resubmits = 0
        return self._trigger(
            contract_address=state.contract_address, network=state.network or None, state=lazy.wait.to_json(state)
        )

    def first_trigger(self) -> ReingestTrigger:
        return self._trigger(
            contract_address=self.contract_address,
            network=self.network,
            starts_here=True,
            wait_for_completion=self.waits_for_end,
            max_resubmits=self.max_resubmits,
            timeout=self.time_limit_seconds(),
            execution_timeout=self.execution_timeout.total_seconds() if self.execution_timeout else None,
        )

    def _trigger(self, **arguments: Any) -> ReingestTrigger:
        return self.trigger_type(
            **self.trigger_arguments(),
            ends_here=ends_in_triggerer(self),
            do_xcom_push=self.do_xcom_push,
            multiple_outputs=self.multiple_outputs,
            **arguments,
        )
