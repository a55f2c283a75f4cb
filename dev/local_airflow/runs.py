# SPDX-License-Identifier: Apache-2.0
"""DAG runs as a test looks at them: waited for, and their task instances, XComs and logs read.

It exists so that tests compare values instead of digging in JSON answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.rest import ApiServerUnreachableError, RestApi
from dev.local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FINAL_STATES = frozenset({"success", "failed"})


class Surroundings(Protocol):
    """The Airflow that a run is in."""

    def diagnosis(self) -> str:
        """Tell what is known about the components, for a failure's sentence."""

    def progress(self) -> object:
        """Read how far the tasks have come, for the guard of a wait."""


@dataclass(frozen=True)
class TaskInstance:
    """One task instance at the time it was read.

    :param task_id: Its task.
    :param map_index: Its index in a mapped task; -1 if not mapped.
    :param rendered_map_index: The name shown for it instead of the index, if any.
    :param state: Its state; None before it is scheduled.
    :param try_number: Its current try, from 1; 0 before the first.
    :param operator: The class name of its operator.
    :param start_date: When its try started.
    :param end_date: When it ended.
    :param duration: Seconds between the two.
    :param triggerer_id: The triggerer job that runs its trigger while it is deferred.
    """

    task_id: str
    map_index: int
    rendered_map_index: str | None
    state: str | None
    try_number: int
    operator: str | None
    start_date: datetime | None
    end_date: datetime | None
    duration: float | None
    triggerer_id: int | None


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG.

    :param dag_id: Its DAG.
    :param run_id: Its id.
    :param api: Where to ask about it.
    :param surroundings: What else runs there.
    """

    dag_id: str
    run_id: str
    api: RestApi = field(repr=False, compare=False)
    surroundings: Surroundings = field(repr=False, compare=False)

    @property
    def path(self) -> str:
        """Where it stands in the REST interface."""
        return f"dags/{quote(self.dag_id, safe='')}/dagRuns/{quote(self.run_id, safe='')}"

    def state(self) -> str:
        """Ask for its state.

        :returns: For example ``running`` or ``success``.
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        return str(self.api.get(self.path)["state"])

    def wait(self, *, interval_seconds: float = 0.5) -> str:
        """Wait until it ended.

        :param interval_seconds: Seconds between two questions, which cost the API server 10 ms each.
        :returns: Its final state: ``success`` or ``failed``.
        :raises LocalAirflowError: When no task gets on any more, with the states of its task instances.
        """

        def final_state() -> str | None:
            try:
                state = self.state()
            except ApiServerUnreachableError:
                # A test may kill the API server in the middle of a run.
                return None
            return state if state in FINAL_STATES else None

        return wait_until(
            final_state,
            moves=self.surroundings.progress,
            failure=self._unfinished,
            interval_seconds=interval_seconds,
        )

    def duration_seconds(self) -> float:
        """Tell how long it took, from its start to its end as the scheduler saw them.

        :returns: Seconds.
        :raises LocalAirflowError: When the API server gives no good answer, or it has not ended.
        """
        row = self.api.get(self.path)
        start, end = _time(row["start_date"]), _time(row["end_date"])
        if start is None or end is None:
            msg = f"The run {self.run_id} of {self.dag_id} has not ended."
            raise LocalAirflowError(msg)
        return (end - start).total_seconds()

    def worker_starts(self) -> int:
        """Count the processes in which its tasks ran: each of them writes an entry in Airflow's audit log.

        :returns: How many; a task that is deferred and resumed counts twice.
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        entries = self.api.get("eventLogs", dag_id=self.dag_id, run_id=self.run_id, event="running", limit=1)
        return int(entries["total_entries"])

    def _unfinished(self) -> str:
        try:
            states = ", ".join(f"{ti.task_id}[{ti.map_index}]: {ti.state}" for ti in self.task_instances())
        except LocalAirflowError as error:
            states = str(error)
        return f"The run {self.run_id} of {self.dag_id} did not end; {states}. {self.surroundings.diagnosis()}".rstrip()

    def task_instances(self) -> list[TaskInstance]:
        """Read its task instances.

        :returns: All of them, ordered by task and map index.
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        rows = self.api.pages(f"{self.path}/taskInstances", "task_instances")
        return sorted(map(_task_instance, rows), key=lambda ti: (ti.task_id, ti.map_index))

    def xcom(self, task_id: str, map_index: int, key: str) -> Any:
        """Read an XCom value.

        :param task_id: The task that pushed it.
        :param map_index: Its map index; -1 if not mapped.
        :param key: The key.
        :returns: The value. What JSON has is as it was pushed; other types are in Airflow's serialised form.
        :raises LocalAirflowError: When there is none.
        """
        path = f"{self.path}/taskInstances/{quote(task_id, safe='')}/xcomEntries/{quote(key, safe='')}"
        return self.api.get(path, map_index=map_index)["value"]

    def task_log(self, task_id: str, map_index: int, try_number: int) -> str:
        """Read the log of a try.

        :param task_id: The task.
        :param map_index: Its map index; -1 if not mapped.
        :param try_number: The try, from 1.
        :returns: Lines of text.
        :raises LocalAirflowError: When there is no such try.
        """
        path = f"{self.path}/taskInstances/{quote(task_id, safe='')}/logs/{try_number}"
        messages = self.api.get(path, map_index=map_index, full_content=True)["content"]
        return "\n".join(line for message in messages for line in _log_lines(message))


def _task_instance(row: Mapping[str, Any]) -> TaskInstance:
    return TaskInstance(
        task_id=row["task_id"],
        map_index=row["map_index"],
        rendered_map_index=row["rendered_map_index"],
        state=row["state"],
        try_number=row["try_number"],
        operator=row["operator_name"] or row["operator"],
        start_date=_time(row["start_date"]),
        end_date=_time(row["end_date"]),
        duration=row["duration"],
        triggerer_id=(row["trigger"] or {}).get("triggerer_id"),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _log_lines(message: Mapping[str, Any] | str) -> Iterator[str]:
    if isinstance(message, str):
        yield message
        return
    fields = dict(message)
    stamp, level = fields.pop("timestamp", None), fields.pop("level", None)
    event, errors = fields.pop("event"), fields.pop("error_detail", None) or []
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    extra = [f"{name}={text}" for name, text in texts.items()]
    yield " ".join(str(part) for part in (stamp, level, event, *extra) if part)
    for error in errors:
        for frame in error.get("frames") or []:
            yield f'  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}'
        yield f"{error['exc_type']}: {error['exc_value']}"
