# SPDX-License-Identifier: Apache-2.0
"""What the sensors that only look have in common: Airflow's modes, with the same answers and exceptions in each."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.tasks.failures import skipping
from airflow_provider_alchemy.tasks.labels import label_mapped_task
from airflow_provider_alchemy.tasks.looking import LookingTask


class LookingSensor(LookingTask, BaseSensorOperator):
    """A sensor that looks until it has seen enough; poke, reschedule and deferred."""

    @property
    def is_rescheduled(self) -> bool:  # type: ignore[override]  # a task never is, a sensor may be
        """Whether the sensor's process ends between two pokes."""
        return bool(self.reschedule) and not self.deferrable

    def cadence(self) -> Cadence:
        """Give how often the sensor looks."""
        longest = self.max_wait.total_seconds() if self.exponential_backoff and self.max_wait else None
        return Cadence(
            interval_seconds=self.poke_interval,
            exponential=bool(self.exponential_backoff),
            max_interval_seconds=longest,
        )

    def time_limit_seconds(self) -> float:
        """Give how long the sensor waits, in seconds."""
        return self.timeout

    def execute(self, context: Any) -> dict[str, Any]:
        """
        Wait until enough is seen.

        :param context: The task's context.
        :return: What was seen, and what it cost.
        """
        label_mapped_task(context)
        with skipping(self):
            wait = self.look_on(context)
        wait.say_the_end()
        return self.deliver(context, wait.record.result())

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Take the sensor up again after a deferral, with the rules of the other modes."""
        with skipping(self):
            return super().resume_execution(next_method, next_kwargs, context)

    def leave(self, wait: Any, delay_seconds: float) -> None:
        """
        Defer or reschedule, by raising what Airflow wants for it; or return, to poke here.

        :param wait: The wait so far.
        :param delay_seconds: When the next poke is due.
        """
        super().leave(wait, delay_seconds)
        if self.is_rescheduled:
            due = pendulum.now("UTC").add(seconds=delay_seconds)
            raise AirflowRescheduleException(due)  # type: ignore[no-untyped-call]  # Airflow's class is not typed

    def poke(self, context: Any) -> PokeReturnValue:
        """
        Look once, for those who call a sensor's poke themselves.

        :param context: The task's context.
        :return: Whether enough was seen, and then what the task returns.
        """
        wait = self.look_on(context, until_the_end=False)
        return PokeReturnValue(is_done=wait.is_over, xcom_value=wait.record.result() if wait.is_over else None)
