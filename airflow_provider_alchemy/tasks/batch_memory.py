# SPDX-License-Identifier: Apache-2.0
"""
What a task with many contracts remembers: those that have ended need not be asked for again, and each costs units.

The triggerer keeps its progress in a Variable, the worker takes it over into the task's store. Whoever dies on the way
leaves it in one of the two.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.batches import BatchRecord
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.tasks.memory import TaskMemory
from airflow_provider_alchemy.tasks.placement import TRIGGERER_RENDERS
from airflow_provider_alchemy.triggers.progress import ProgressVariable

KEY = "alchemy_contracts"

_UNREAD = "Could not read how far an earlier try was: %s"
_UNKEPT = "Could not keep how far the batch is; a retry would ask for all again: %s"


class BatchMemory(TaskMemory):
    """
    The memory of one task instance with many contracts.

    :param context: The task's context.
    :param retries: The task's retries.
    :param log: The task's log.
    """

    def __init__(self, context: Any, retries: int, log: Log) -> None:
        super().__init__(context, retries, log)
        self.variable: ProgressVariable | None = None
        """Where the trigger keeps its progress; None before Airflow 3.3, which has no store to take it over into."""
        if TRIGGERER_RENDERS:
            self.variable = ProgressVariable.of(context["ti"], self._first_try, self._try_number)

    def recall_batch(self, digest: str) -> BatchRecord | None:
        """
        Recall how far earlier tries were.

        :param digest: The list of contracts.
        :return: What the latest of them knew; None where there is none, or their list was another.
        """
        # A first try has nothing to recall, and its look into Airflow's Variables would be for nothing.
        if self._try_number <= 1:
            return None
        kept = max((self._recall(KEY, _UNREAD), self._left_behind()), key=_try_of)
        record = BatchRecord.read(kept.get("record"))
        if record is not None and record.digest != digest:
            self._log.info("The contracts are not those of the earlier try: asking for all of them")
            return None
        return record

    def keep_batch(self, record: BatchRecord) -> None:
        """
        Keep a record for a later process of this task.

        :param record: What was seen.
        """
        self._keep(KEY, self._of_this_try(record.to_dict()), _UNKEPT)

    def take_over(self) -> BatchRecord | None:
        """
        Move what a trigger left behind into the task's store: it ended without an event.

        :return: What it knew; None where it left nothing.
        """
        kept = self._left_behind()
        record = BatchRecord.read(kept.get("record"))
        if record is not None:
            self._keep(KEY, {name: value for name, value in kept.items() if name != "owner"}, _UNKEPT)
            self.forget_progress()
        return record

    def forget_progress(self) -> None:
        """Delete what the trigger has kept."""
        try:
            if self.variable is not None:
                self.variable.delete()
        except Exception as error:  # noqa: BLE001 - one Variable too many must not fail a batch
            self._log.warning("Could not delete Variable %r, which nobody needs any more: %s", self.variable, error)

    def _left_behind(self) -> dict[str, Any]:
        try:
            return self.variable.read() if self.variable is not None else {}
        except Exception as error:  # noqa: BLE001 - a store out of reach must not fail a batch: asking joins it
            self._log.warning("Could not read how far an earlier trigger was: %s", error)
            return {}


def _try_of(kept: dict[str, Any]) -> int:
    number = kept.get("try_number")
    return number if isinstance(number, int) else 0
