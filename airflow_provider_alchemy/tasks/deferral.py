# SPDX-License-Identifier: Apache-2.0
"""A task that goes through several processes: how it leaves one, is resumed in the next, and concludes."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyUnexpectedAnswerError,
    error_from_dict,
)
from airflow_provider_alchemy.api.inputs import read_connection_id, read_network
from airflow_provider_alchemy.defaults import BACK_STOP
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.base import CollectionTask, push_result
from airflow_provider_alchemy.tasks.exceptions import airflow_exception, skipping
from airflow_provider_alchemy.tasks.store import TaskStateStore

if TYPE_CHECKING:
    from airflow_provider_alchemy.api.settings import ClientSettings
    from airflow_provider_alchemy.triggers.wait import WaitEnd
    from airflow_provider_alchemy.waits.wait import WaitState

_FAILED_BY_AIRFLOW = "__fail__"
"""The method that Airflow resumes a task with where its trigger failed, or its time was over."""


class DeferrableTask(CollectionTask):
    store_key: ClassVar[str]
    """Under which key the task's store has the state."""

    alchemy_conn_id: str
    network: str | None

    @abstractmethod
    def ended_by_airflow(self, context: Any) -> AlchemyError:
        """Give the error of a deferral that Airflow ended for its time."""

    def store(self, context: Any) -> TaskStateStore:
        return TaskStateStore(context, self.store_key, self.retries, self.log)

    def end_try(self, context: Any) -> None:
        """Let the next process begin a try of its own: a retry policy runs it later, and Airflow counts none."""
        self.store(context).end_try()

    def read_settings(self) -> ClientSettings:
        network = None if self.network is None else read_network(self.network)
        settings: ClientSettings = lazy.hook.AlchemyHook(
            read_connection_id(self.alchemy_conn_id), network
        ).read_settings()
        self.known_network = settings.network
        return settings

    def defer_until(self, ends_at: datetime | None, trigger: Any, kwargs: dict[str, Any] | None = None) -> NoReturn:
        """Go on in the triggerer; Airflow ends that some time after the deadline, where no triggerer did."""
        # A plain timedelta: the worker's message to its supervisor takes no subclass of it.
        timeout = None if ends_at is None else max(ends_at - datetime.now(UTC), -BACK_STOP / 2) + BACK_STOP
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=timeout)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Resume after a deferral, with the rules of the other modes."""
        if AIRFLOW_V_3_0_PLUS and not getattr(self, "start_from_trigger", False):
            # The process before the deferral pushed them, and each is a call to Airflow's API server.
            self.operator_extra_links = ()
        with skipping(self):
            # Airflow resumes a task like that also where its trigger failed.
            if next_method == _FAILED_BY_AIRFLOW and "timeout" in str((next_kwargs or {}).get("error", "")).lower():
                raise airflow_exception(self.ended_by_airflow(context), self, context)
            # Not a sensor's own: it would skip with soft_fail on failures where a poking sensor fails.
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def conclude(self, context: Any, result: dict[str, Any], error: AlchemyError | None) -> dict[str, Any]:
        """End with a result, which is pushed also where the task fails."""
        if error is None:
            return self.complete(context, result)
        push_result(self, context, result)
        raise airflow_exception(error, self, context)


def read_event(event: Any, state_type: type[WaitState], subject: str) -> tuple[WaitEnd, Any, AlchemyError | None]:
    """Give how a wait in the triggerer ended, what it saw, and why it failed."""
    ends = lazy.wait_trigger.WaitEnd
    values = event if isinstance(event, dict) else {}
    status, state = values.get("status"), lazy.wait.from_json(state_type, values.get("state"))
    if status not in list(ends) or state is None:
        msg = f"the trigger's event is {str(event)[:200]!r}"
        advice = "Check that workers and triggerers run the same version of airflow-provider-alchemy"
        raise AlchemyUnexpectedAnswerError(msg, subject=subject, advice=advice)
    error = None if status == ends.FINISHED else error_from_dict(values.get("error") or {})
    return ends(status), state, error


def no_triggerer_error(subject: str) -> AlchemyDeadlineError:
    msg = f"no triggerer ended the wait within {BACK_STOP.total_seconds():g} s after its deadline"
    return AlchemyDeadlineError(msg, subject=subject, advice="Check that a triggerer is running")
