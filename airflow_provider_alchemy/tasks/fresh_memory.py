# SPDX-License-Identifier: Apache-2.0
"""What a task that waits for fresh metadata remembers: its sample, which was paid for, and what is proven."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.freshness import FreshRecord
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.tasks.memory import TaskMemory

KEY = "alchemy_fresh"


class FreshMemory(TaskMemory):
    """
    The memory of one task instance.

    :param context: The task's context.
    :param retries: The task's retries.
    :param log: The task's log.
    """

    def __init__(self, context: Any, retries: int, log: Log) -> None:
        super().__init__(context, retries, log)
        self.has_store = self._store is not None

    def recall_fresh(self, asked: FreshRecord) -> FreshRecord | None:
        """
        Recall what an earlier process of this task saw.

        :param asked: What the task asks now: a record without anything seen.
        :return: The record; None where there is none, or it is about other tokens. In a new try the wait begins anew:
            the sample is left in it, and what is proven.
        """
        stored = self._recall(KEY, "Could not read what an earlier process knew of the tokens: %s")
        record = FreshRecord.read(stored.get("record"))
        if record is None or _question(record) != _question(asked):
            return None
        if not asked.is_sampled and record.digest != asked.digest:
            return None
        if record.fresh_since != asked.fresh_since:
            # A template that moves with each process, such as {{ ti.start_date }}: the proofs are of another moment.
            self._log.info("fresh_since is not that of the earlier process: the tokens are to be proven anew")
            record.fresh_since = asked.fresh_since
            record.fresh, record.failed, record.next_position = set(), {}, 0
        if stored.get("try_number") != self._try_number:
            self._log.info(
                "An earlier try has proven %s of %s tokens: waiting for the others",
                f"{len(record.fresh):,}",
                f"{len(record.tokens):,}",
            )
            record.begin_anew()
        return record

    def keep_fresh(self, record: FreshRecord) -> None:
        """
        Keep a record for a later process of this task.

        :param record: What was seen.
        """
        self._keep(
            KEY, self._of_this_try(record.to_dict()), "Could not keep what is known of the tokens for a retry: %s"
        )


def _question(record: FreshRecord) -> tuple[Any, ...]:
    return record.contract_address, record.network, record.seed, record.sample_size
