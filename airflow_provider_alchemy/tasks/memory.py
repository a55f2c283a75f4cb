# SPDX-License-Identifier: Apache-2.0
"""
What a task remembers between its processes: retries and reschedules start from nothing else.

Airflow 3.3 gives a task a store that survives both. Before, nothing of a task does (its XComs are cleared when it
starts), so that only what Airflow itself counts is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pendulum
from pendulum import DateTime

from airflow_provider_alchemy.api.endpoints import REINGEST_CONTRACT
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.records import WaitRecord

KEY = "alchemy_reingest"


class TaskMemory:
    """
    The memory of one task instance.

    :param context: The task's context.
    :param retries: The task's retries.
    :param log: The task's log.
    """

    def __init__(self, context: Any, retries: int, log: Log) -> None:
        self._context = context
        self._store = context.get("task_state_store")
        self._log = log
        # Clearing a task raises max_tries by the tries used: a user who clears a task wants a new refresh, and
        # must not get the old one's result.
        ti = context["ti"]
        self._first_try = (getattr(ti, "max_tries", 0) or 0) - (retries or 0) + 1
        self._try_number = getattr(ti, "try_number", 1)

    def recall(self, contract_address: str) -> WaitRecord | None:
        """
        Recall what an earlier process of this task saw of a collection.

        :param contract_address: The contract, in lower case.
        :return: The record; None where there is none, it is another collection's, or that refresh failed. In a
            new try the wait begins anew: only what is known of the refresh itself is left in it.
        """
        stored = self._recall(KEY, "Could not read what an earlier process knew of the refresh: %s")
        record = WaitRecord.read(stored.get("record"))
        if record is None or record.contract_address != contract_address:
            return None
        if record.state in {RefreshState.DOES_NOT_EXIST, RefreshState.QUEUE_FAILED}:
            return None
        if stored.get("try_number") != self._try_number:
            self._log.info(
                "An earlier try submitted the refresh of %s at %s: joining it",
                contract_address,
                record.submitted_at,
            )
            record = replace(record, waiting_since="", deadline=None, execution_deadline=None)
            record.looks = record.failures = record.resubmits = 0
        return record

    def keep(self, record: WaitRecord) -> None:
        """
        Keep a record for a later process of this task.

        :param record: What was seen.
        """
        self._keep(
            KEY, self._of_this_try(record.to_dict()), "Could not keep what is known of the refresh for a retry: %s"
        )

    def _of_this_try(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"first_try": self._first_try, "try_number": self._try_number, "record": record}

    def _recall(self, key: str, trouble: str) -> dict[str, Any]:
        """Read what is stored of the tries that belong together; nothing where the store is out of reach."""
        try:
            stored = self._store.get(key) if self._store is not None else None
        except Exception as error:  # noqa: BLE001 - a store out of reach must not fail a refresh: asking joins it
            self._log.warning(trouble, error)
            return {}
        return stored if isinstance(stored, dict) and stored.get("first_try") == self._first_try else {}

    def _keep(self, key: str, value: dict[str, Any], trouble: str) -> bool:
        """Keep a value, and tell whether it is kept."""
        try:
            if self._store is not None:
                self._store.set(key, value)
                return True
        except Exception as error:  # noqa: BLE001 - a store out of reach must not fail a refresh that is paid for
            self._log.warning(trouble, error)
        return False

    def earlier_pokes(self, contract_address: str) -> WaitRecord | None:
        """
        Reconstruct a rescheduled sensor's record where Airflow has no store, from what Airflow counts.

        :param contract_address: The contract, in lower case.
        :return: The record; None where this is the first poke.
        """
        started = self.first_poke()
        if started is None:
            return None
        # Airflow 2 does not tell how often a task was rescheduled: at least once, then.
        pokes = self._context.get("task_reschedule_count") or 1
        return WaitRecord(
            contract_address=contract_address,
            waiting_since=started.isoformat(),
            submitted_at=started.isoformat(),
            state=RefreshState.UNKNOWN.value,
            polls=pokes,
            compute_units=pokes * REINGEST_CONTRACT.compute_units,
            looks=pokes,
        )

    def first_poke(self) -> DateTime | None:
        """
        Tell when a rescheduled sensor poked first, which is where its time-out begins.

        :return: The moment; None where this is the first poke.
        """
        ti = self._context["ti"]
        ask = getattr(ti, "get_first_reschedule_date", None)
        if ask is not None:
            started = ask(self._context)
        else:
            # Airflow 2 has the question in its sensors' module only.
            from airflow.sensors.base import _orig_start_date  # type: ignore[import-not-found]  # noqa: PLC0415 - not in 3

            started = _orig_start_date(ti.dag_id, ti.task_id, ti.run_id, ti.map_index, self._first_try)
        return pendulum.instance(started) if started else None
