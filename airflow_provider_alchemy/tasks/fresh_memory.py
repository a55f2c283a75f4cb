# SPDX-License-Identifier: Apache-2.0
"""What a task that waits for fresh metadata remembers: its sample, which was paid for, and what is proven."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.freshness import FreshRecord
from airflow_provider_alchemy.tasks.look_memory import LookMemory


class FreshMemory(LookMemory):
    """The memory of one task instance."""

    key = "alchemy_fresh"

    def recall_record(self, asked: FreshRecord) -> FreshRecord | None:
        """
        Recall what an earlier process of this task saw.

        :param asked: What the task asks now: a record without anything seen.
        :return: The record; None where there is none, or it is about other tokens. In a new try the wait begins anew:
            the sample is left in it, and what is proven.
        """
        kept, is_of_this_try = self._recall_record()
        record = FreshRecord.read(kept)
        if record is None or _question(record) != _question(asked):
            return None
        if not asked.is_sampled and record.digest != asked.digest:
            return None
        if record.fresh_since != asked.fresh_since:
            # A template that moves with each process, such as {{ ti.start_date }}: the proofs are of another moment.
            self._log.info("fresh_since is not that of the earlier process: the tokens are to be proven anew")
            record.fresh_since = asked.fresh_since
            record.fresh, record.failed, record.next_position = set(), {}, 0
        if not is_of_this_try:
            self._log.info(
                "An earlier try has proven %s of %s tokens: waiting for the others",
                f"{len(record.fresh):,}",
                f"{len(record.tokens):,}",
            )
            record.begin_anew()
        return record


def _question(record: FreshRecord) -> tuple[Any, ...]:
    return record.contract_address, record.network, record.seed, record.sample_size
