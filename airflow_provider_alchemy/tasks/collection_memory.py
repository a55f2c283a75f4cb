# SPDX-License-Identifier: Apache-2.0
"""What a task with a collection's tokens remembers: those that are proven need not be asked for again."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.collection_record import CollectionRecord
from airflow_provider_alchemy.api.keeping import Keep
from airflow_provider_alchemy.tasks.memory import TaskMemory

KEY = "alchemy_collection"

_UNREAD = "Could not read how far an earlier process of this task was, so all tokens are asked for again: %s"
_UNKEPT = "Could not keep how far the refresh is; a retry would ask for all tokens again: %s"


class CollectionMemory(TaskMemory):
    """
    The memory of one task instance with a collection's tokens.

    :param context: The task's context.
    :param retries: The task's retries.
    :param log: The task's log.
    """

    @property
    def keep_collection(self) -> Keep | None:
        """What keeps a record, as JSON values, for a later process of this task; None before Airflow 3.3."""
        return None if self._store is None else self._keep_collection

    def keep_record(self, record: CollectionRecord) -> bool:
        """
        Keep a record for a later process of this task.

        :param record: How far the refresh is.
        :return: Whether it is kept.
        """
        return self._keep_collection(record.to_dict())

    def recall_collection(self, wanted: CollectionRecord) -> CollectionRecord | None:
        """
        Recall how far an earlier process of this task was.

        :param wanted: What is to be done now.
        :return: The record; None where there is none, or it is of other tokens. In a new try the tokens that were
            given up are to be asked for again.
        """
        kept = self._recall(KEY, _UNREAD)
        record = CollectionRecord.read(kept.get("record"))
        if record is None:
            return None
        if not record.is_about(wanted):
            self._log.info("The tokens are not those of the earlier try: asking for all of them")
            return None
        if kept.get("try_number") != self._try_number:
            record.for_next_try()
            record.execution_deadline = None
            self._log.info(
                "An earlier try has proven %s tokens fresh: asking for the others only", f"{record.refreshed:,}"
            )
        return record

    def _keep_collection(self, value: dict[str, Any]) -> bool:
        return self._keep(KEY, self._of_this_try(value), _UNKEPT)
