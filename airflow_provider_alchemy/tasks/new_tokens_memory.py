# SPDX-License-Identifier: Apache-2.0
"""What a task that waits for new tokens remembers: where it began, what it has read of the chain, and what it found."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.mint_record import MintRecord
from airflow_provider_alchemy.tasks.look_memory import LookMemory


class MintMemory(LookMemory):
    """The memory of one task instance."""

    key = "alchemy_new_tokens"

    def recall_record(self, asked: MintRecord) -> MintRecord | None:
        """
        Recall what an earlier process of this task saw.

        :param asked: What the task asks now: a record without anything seen.
        :return: The record; None where there is none, or it is about other blocks. In a new try the wait begins anew:
            what was read is left in it.
        """
        kept, is_of_this_try = self._recall_record()
        record = MintRecord.read(kept)
        if record is None or _question(record) != _question(asked):
            return None
        if record.asked_moment != asked.asked_moment:
            # A template that moves with each process, such as {{ ti.start_date }}: what was read since its first value
            # stays read, or the tokens of the time in between were lost.
            self._log.info("since is not that of the earlier process: going on from that one")
        if not is_of_this_try:
            self._log.info(
                "An earlier try has read up to block %s and found %s tokens: going on from there",
                "none" if record.until_block is None else f"{record.until_block:,}",
                f"{len(record.ids):,}",
            )
            record.begin_anew()
        return record


def _question(record: MintRecord) -> tuple[Any, ...]:
    return record.contract_address, record.network, record.asked_block
