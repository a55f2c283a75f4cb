# SPDX-License-Identifier: Apache-2.0
"""
What a task keeps between its processes, in Airflow's task state store (3.3 and newer).

Before 3.3 nothing of a task survives a retry or a reschedule (its XComs are cleared when it starts), except when a
rescheduled sensor poked first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.tasks import lazy

HAS_STORE = AIRFLOW_V_3_3_PLUS
"""Whether Airflow gives each task a store: outside a task, as in a user's unit test, there is none anyway."""


class TaskStateStore:
    """The state of one task instance."""

    def __init__(self, context: Any, key: str, retries: int | None, log: Log) -> None:
        self._store = context.get("task_state_store")
        self._context = context
        self._key = key
        self._log = log
        ti = context.get("ti")
        self._try_number = number_of(ti, "try_number", 1)
        # Clearing a task raises max_tries by the tries used: a user who clears a task wants a new refresh, and must
        # not get the result of the old one.
        self._first_try = number_of(ti, "max_tries", 0) - (retries or 0) + 1

    @property
    def is_available(self) -> bool:
        return self._store is not None

    @property
    def is_missing(self) -> bool:
        """Whether this Airflow has no store; outside a task that is not known."""
        is_in_task = isinstance(getattr(self._context.get("ti"), "try_number", None), int)
        return self._store is None and not HAS_STORE and is_in_task

    @property
    def is_first_try(self) -> bool:
        return self._try_number == self._first_try

    def load(self) -> tuple[Any, bool]:
        """Give the saved state as JSON values, None where there is none, and whether this same try saved it."""
        try:
            saved = self._store.get(self._key) if self._store is not None else None
        except Exception as error:  # noqa: BLE001 - a store out of reach must not fail a task that can begin anew
            self._log.warning("Could not read what an earlier process of the task saved: %s", error)
            saved = None
        if not isinstance(saved, dict) or saved.get("first_try") != self._first_try:
            return None, False
        return saved.get("state"), saved.get("try_number") == self._try_number

    def save(self, state: dict[str, Any]) -> bool:
        """Save a state, as JSON values, for a later process of the task; give whether it is saved."""
        if self._store is None:
            return False
        try:
            value = {"first_try": self._first_try, "try_number": self._try_number, "state": state}
            self._store.set(self._key, value)
        except Exception as error:  # noqa: BLE001 - a store out of reach must not fail a refresh that is paid for
            self._log.warning("Could not save the state of the task for a retry: %s", error)
            return False
        return True

    def end_try(self) -> None:
        """Let what is saved count as an earlier try's."""
        saved = self._store.get(self._key) if self._store is not None else None
        if isinstance(saved, dict):
            self._store.set(self._key, {**saved, "try_number": None})

    def first_poke_at(self) -> datetime | None:
        """Give when a rescheduled sensor poked first, which is where its time-out begins; None: it has not yet."""
        ti = self._context.get("ti")
        ask = getattr(ti, "get_first_reschedule_date", None)
        if ask is not None:
            at = ask(self._context)
        elif ti is None or AIRFLOW_V_3_0_PLUS:
            return None
        else:
            # Airflow 2 has it in its sensors' module only.
            from airflow.sensors.base import _orig_start_date  # type: ignore[import-not-found]  # noqa: PLC0415

            at = _orig_start_date(ti.dag_id, ti.task_id, ti.run_id, ti.map_index, self._first_try)
        return lazy.wait.in_utc(at) if isinstance(at, datetime) else None


def number_of(ti: Any, name: str, default: int) -> int:
    # Users' unit tests give any object as the task instance.
    value = getattr(ti, name, None)
    return value if isinstance(value, int) else default
