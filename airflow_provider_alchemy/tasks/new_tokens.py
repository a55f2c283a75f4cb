# SPDX-License-Identifier: Apache-2.0
"""What a task that waits for new tokens waits for: mints on the chain, from a block or a moment on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.inputs import read_contract_address, read_network
from airflow_provider_alchemy.api.mint_arguments import read_since, read_since_block
from airflow_provider_alchemy.api.mint_looks import MintLooks
from airflow_provider_alchemy.api.mint_record import MintRecord
from airflow_provider_alchemy.api.mint_waiting import CALLS_OF_LOOK, PRICE_OF_LOOK, MintWait
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.tasks.looking import LookingTask, Looks
from airflow_provider_alchemy.tasks.new_tokens_memory import MintMemory
from airflow_provider_alchemy.triggers.new_tokens import NewTokensTrigger

LONGEST_BLOCK = timedelta(minutes=1)
"""Where nobody knows any more which block was the newest, the wait begins so much before its first poke: nodes show a
block some seconds after its time, and none must be missed."""


class NewTokensTask(LookingTask):
    """The part of a task that reads the chain until enough tokens are minted. The sensor adds its arguments."""

    template_fields: Sequence[str] = ("contract_address", "since_block", "since", "network", "alchemy_conn_id")

    since_block: Any
    since: Any
    has_block: bool
    has_moment: bool
    network: str | None
    min_tokens: int
    confirmations: int

    def memory(self, context: Any) -> MintMemory:
        """
        Give the task's memory.

        :param context: The task's context.
        """
        return MintMemory(context, self.retries or 0, self.log)

    def read_record(self, data: Any) -> MintRecord | None:
        """
        Rebuild a record.

        :param data: What its ``to_dict`` gave.
        :return: The record; None where it is none.
        """
        return MintRecord.read(data)

    def looks(self, wait: MintWait) -> Looks:
        """
        Give what looks in this process.

        :param wait: The wait.
        """
        return MintLooks(wait.log).look

    def read_arguments(self, context: Any) -> tuple[ClientSettings, MintRecord]:  # noqa: ARG002 - other tasks need it
        """
        Read the rendered arguments and the connection.

        :param context: The task's context.
        :return: The settings, and a record without anything seen.
        :raises AlchemyError: One of them cannot be right.
        """
        address = read_contract_address(self.contract_address)
        block = read_since_block(self.since_block) if self.has_block else None
        moment = read_since(self.since).isoformat() if self.has_moment else ""
        network = None if self.network is None else read_network(self.network)
        with AlchemyHook(read_connection_id(self.alchemy_conn_id), network) as hook:
            settings = hook.get_conn().settings
        return settings, MintRecord(
            contract_address=address, network=settings.network, asked_block=block, asked_moment=moment
        )

    def reconstruct(self, record: MintRecord, memory: MintMemory) -> None:
        """
        Take over of earlier pokes what Airflow itself counts: their number, and when the first one was.

        :param record: The record of this poke.
        :param memory: The task's memory.
        """
        earlier = memory.earlier_pokes(record.contract_address)
        if earlier is None:
            if not memory.has_store:
                self.log.warning(
                    "Airflow keeps nothing between two pokes before 3.3: each reads the chain again from where the "
                    "sensor began; deferrable=True and mode='poke' read it once"
                )
            return
        record.waiting_since, record.looks = earlier.waiting_since, earlier.looks
        # Pokes of which nothing is kept: each of them has cost what the smallest one does, if not more.
        record.polls, record.compute_units = earlier.looks * CALLS_OF_LOOK, earlier.looks * PRICE_OF_LOOK
        began_at = read_moment(earlier.waiting_since)
        if record.asked_block is None and not record.asked_moment and began_at is not None:
            record.asked_moment = (began_at - LONGEST_BLOCK).isoformat()

    def wait_of(self, record: MintRecord, subject: str) -> MintWait:
        """
        Give the wait.

        :param record: What was seen so far.
        :param subject: The collection and the connection, for people.
        """
        return MintWait(
            record,
            subject=subject,
            cadence=self.cadence(),
            log=self.log,
            min_tokens=self.min_tokens,
            confirmations=self.confirmations,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )

    def trigger_of(self, record: MintRecord, cadence: Cadence) -> NewTokensTrigger:
        """
        Give the trigger that goes on.

        :param record: What was seen so far.
        :param cadence: How often to look.
        """
        return NewTokensTrigger(
            record=record.to_dict(),
            alchemy_conn_id=read_connection_id(self.alchemy_conn_id),
            min_tokens=self.min_tokens,
            confirmations=self.confirmations,
            poll_interval=cadence.interval_seconds,
            exponential_backoff=cadence.exponential,
            max_wait=cadence.max_interval_seconds,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )
