# SPDX-License-Identifier: Apache-2.0
"""The wait for fresh metadata, in the triggerer."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.fresh_looks import look
from airflow_provider_alchemy.api.fresh_waiting import DEFAULT_MIN_FRESH, FreshWait
from airflow_provider_alchemy.api.freshness import FreshRecord
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.triggers.looking import LookingTrigger, Looks


class MetadataFreshTrigger(LookingTrigger):
    """
    Wait until tokens of a collection are proven fresh. It refreshes nothing.

    All triggers of a connection in a triggerer share one HTTP session and one budget. Its arguments go through the
    metadata database and are readable there: no key among them. The triggerer may start it again at any time, on
    another machine, or twice at once: what was seen since the worker's last look is then asked for again, and the
    deadlines are moments, not durations.

    :param record: What the worker has seen: the tokens, the moment, the deadlines (``FreshRecord.to_dict``).
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param min_fresh: How many tokens have to be fresh: an int is their number, a float their share. Default: all.
    :param poll_interval: Seconds between two polls. Default 60: a poll costs 480 compute units per hundred tokens.
    :param exponential_backoff: Whether the interval doubles from poll to poll instead. Default False.
    :param max_wait: The longest interval in seconds where it doubles; default: no limit.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param max_compute_units: What the wait may spend in all; default: any amount.
    """

    arguments = (*LookingTrigger.arguments, "min_fresh")

    def __init__(
        self,
        record: dict[str, Any],
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        min_fresh: float = DEFAULT_MIN_FRESH,
        poll_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
    ) -> None:
        super().__init__(
            record,
            alchemy_conn_id,
            poll_interval,
            exponential_backoff,
            max_wait,
            max_consecutive_failures,
            max_compute_units,
        )
        self.min_fresh = min_fresh

    def read_record(self) -> FreshRecord:
        """
        Rebuild the record.

        :return: It.
        :raises ValueError: It is none with tokens to wait for.
        """
        record = FreshRecord.read(self.record)
        if record is None or record.ids is None:
            msg = f"argument 'record' is {str(self.record)[:200]!r} and no record of tokens to wait for"
            raise ValueError(msg)
        return record

    def wait_of(self, record: FreshRecord, subject: str, cadence: Cadence) -> FreshWait:
        """
        Give the wait.

        :param record: What was seen so far.
        :param subject: The collection and the connection, for people.
        :param cadence: How often to look.
        """
        return FreshWait(
            record,
            subject=subject,
            cadence=cadence,
            log=self.log,
            min_fresh=self.min_fresh,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )

    def looks(self, wait: FreshWait) -> Looks:  # noqa: ARG002 - others know something in each process
        """
        Give what looks.

        :param wait: The wait.
        """
        return look

    def told(self, record: FreshRecord) -> dict[str, Any]:
        """
        Give what the event tells of a record: without the tokens where the task was given them and so knows them.

        :param record: What was seen.
        :return: JSON values.
        """
        return record.to_dict(with_ids=record.is_sampled)
