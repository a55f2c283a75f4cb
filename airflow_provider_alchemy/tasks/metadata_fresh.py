# SPDX-License-Identifier: Apache-2.0
"""What a task that waits for fresh metadata waits for: its tokens, chosen before it looks, and their proofs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pendulum

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.endpoints import calls_of_look, price_of_look
from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.fresh_looks import choose_sample, look
from airflow_provider_alchemy.api.fresh_waiting import FreshWait
from airflow_provider_alchemy.api.freshness import FreshRecord, needed_of
from airflow_provider_alchemy.api.inputs import (
    check_not_ahead,
    read_contract_address,
    read_fresh_since,
    read_network,
    read_token_ids,
)
from airflow_provider_alchemy.api.sampling import seed_of
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.hooks.shared import WorkerCalls
from airflow_provider_alchemy.tasks.fresh_memory import FreshMemory
from airflow_provider_alchemy.tasks.looking import LookingTask, Looks
from airflow_provider_alchemy.triggers.metadata_fresh import MetadataFreshTrigger


class MetadataFreshTask(LookingTask):
    """The part of a task that looks at tokens until enough are fresh. The sensor adds its arguments."""

    template_fields: Sequence[str] = ("contract_address", "fresh_since", "token_ids", "network", "alchemy_conn_id")

    fresh_since: Any
    token_ids: Any
    is_sampling: bool
    network: str | None
    sample_size: int
    seed: int | None
    min_fresh: float

    def memory(self, context: Any) -> FreshMemory:
        """
        Give the task's memory.

        :param context: The task's context.
        """
        return FreshMemory(context, self.retries or 0, self.log)

    def read_record(self, data: Any) -> FreshRecord | None:
        """
        Rebuild a record.

        :param data: What its ``to_dict`` gave.
        :return: The record; None where it is none.
        """
        return FreshRecord.read(data)

    def looks(self, wait: FreshWait) -> Looks:  # noqa: ARG002 - others know something in each process
        """
        Give what looks.

        :param wait: The wait.
        """
        return look

    def read_arguments(self, context: Any) -> tuple[ClientSettings, FreshRecord]:
        """
        Read the rendered arguments and the connection.

        :param context: The task's context.
        :return: The settings, and a record without anything seen.
        :raises AlchemyError: One of them cannot be right.
        """
        address = read_contract_address(self.contract_address)
        moment = read_fresh_since(self.fresh_since)
        check_not_ahead(moment, pendulum.now("UTC"))
        given = None if self.is_sampling else read_token_ids(self.token_ids)
        network = None if self.network is None else read_network(self.network)
        with AlchemyHook(read_connection_id(self.alchemy_conn_id), network) as hook:
            settings = hook.get_conn().settings
        asked = FreshRecord(contract_address=address, network=settings.network, fresh_since=moment.isoformat())
        if given is None:
            asked.sample_size = self.sample_size
            asked.seed = _derived_seed(context["ti"]) if self.seed is None else self.seed
            return settings, asked
        asked.choose(given.ids)
        if given.duplicates:
            words = "%s: %s of its token ids are named more than once, and asked for once"
            self.log.info(words, asked.describe(settings.source), f"{given.duplicates:,}")
        return settings, asked

    def reconstruct(self, record: FreshRecord, memory: FreshMemory) -> None:
        """
        Take over of earlier pokes what Airflow itself counts: their number, and when the first one was.

        :param record: The record of this poke.
        :param memory: The task's memory.
        """
        earlier = memory.earlier_pokes(record.contract_address)
        if earlier is not None:
            record.waiting_since, record.looks = earlier.waiting_since, earlier.looks
        elif record.is_sampled and not memory.has_store:
            self.log.warning(
                "Airflow keeps nothing between two pokes before 3.3: each reads the list of the collection's tokens "
                "again, 600 compute units per hundred tokens; deferrable=True and mode='poke' read it once"
            )

    def before_the_first_look(self, calls: WorkerCalls, wait: FreshWait, memory: FreshMemory) -> None:
        """
        Choose the tokens where no earlier process has.

        :param calls: Makes calls.
        :param wait: The wait.
        :param memory: Keeps what they cost.
        :raises AlchemyError: What went wrong.
        """
        record, usage = wait.record, Usage()
        is_new = not record.polls
        if record.ids is None:
            try:
                calls.run(choose_sample(calls, wait, usage))
            finally:
                record.polls += usage.calls
                record.compute_units += usage.compute_units
                memory.keep_record(record)
        elif not record.looks and record.ids:
            wait.limits.check_price(price_of_look(len(record.ids)), "to ask for each of them once costs {price:,}")
            told = f"{len(record.ids):,} token{'s'[: len(record.ids) != 1]}"
            self.log.info("%s: waiting for %s to be newer than %s", wait.subject, told, record.fresh_since)
        if is_new and record.looks:
            # Pokes of which nothing is kept: each of them has cost what this one does, if not more.
            record.polls += record.looks * (usage.calls + calls_of_look(len(record.tokens)))
            record.compute_units += record.looks * (usage.compute_units + price_of_look(len(record.tokens)))
        if not record.ids:
            self.log.info("%s: there are no tokens to wait for", wait.subject)

    def wait_of(self, record: FreshRecord, subject: str) -> FreshWait:
        """
        Give the wait.

        :param record: What was seen so far.
        :param subject: The collection and the connection, for people.
        """
        return FreshWait(
            record,
            subject=subject,
            cadence=self.cadence(),
            log=self.log,
            min_fresh=self.min_fresh,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )

    def take_back(self, record: FreshRecord, subject: str) -> None:
        """
        Put the tokens that were given back into a record that came without them.

        :param record: The record, as it came.
        :param subject: The collection and the connection, for people.
        :raises AlchemyUnexpectedAnswerError: It is about other tokens.
        """
        if record.ids is not None:
            return
        digest = record.digest
        record.choose(read_token_ids(self.token_ids).ids)
        if record.digest != digest:
            msg = "the list of tokens is not the one that the wait began with"
            raise AlchemyUnexpectedAnswerError(msg, subject=subject, advice="Clear the task to begin anew")

    def trigger_of(self, record: FreshRecord, cadence: Cadence) -> MetadataFreshTrigger:
        """
        Give the trigger that goes on.

        :param record: What was seen so far.
        :param cadence: How often to look.
        """
        return MetadataFreshTrigger(
            record=record.to_dict(),
            alchemy_conn_id=read_connection_id(self.alchemy_conn_id),
            min_fresh=needed_of(self.min_fresh, len(record.tokens)),
            poll_interval=cadence.interval_seconds,
            exponential_backoff=cadence.exponential,
            max_wait=cadence.max_interval_seconds,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )


def _derived_seed(task_instance: Any) -> int:
    """Give a seed that is the same in all tries of a task's run."""
    names = ("dag_id", "run_id", "task_id", "map_index")
    return seed_of(*(getattr(task_instance, name, None) for name in names))
