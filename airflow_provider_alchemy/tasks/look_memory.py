# SPDX-License-Identifier: Apache-2.0
"""What a task that only looks remembers between its processes: the record of its wait."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.tasks.memory import TaskMemory


class LookMemory(TaskMemory):
    """
    The memory of one task instance. Its subclasses know which record goes on with what a task asks.

    :param context: The task's context.
    :param retries: The task's retries.
    :param log: The task's log.
    """

    key: ClassVar[str]
    """Under which name the task's store keeps the record."""

    def __init__(self, context: Any, retries: int, log: Log) -> None:
        super().__init__(context, retries, log)
        self.has_store = self._store is not None

    def keep_record(self, record: WaitRecord) -> None:
        """
        Keep a record for a later process of this task.

        :param record: What was seen.
        """
        self._keep(
            self.key, self._of_this_try(record.to_dict()), "Could not keep what is known of the tokens for a retry: %s"
        )

    def _recall_record(self) -> tuple[Any, bool]:
        """Give what an earlier process kept, as JSON values, and whether it was of this same try."""
        stored = self._recall(self.key, "Could not read what an earlier process knew of the tokens: %s")
        return stored.get("record"), stored.get("try_number") == self._try_number
