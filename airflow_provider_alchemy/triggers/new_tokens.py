# SPDX-License-Identifier: Apache-2.0
"""The wait for new tokens, in the triggerer."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.mint_looks import MintLooks
from airflow_provider_alchemy.api.mint_record import MintRecord
from airflow_provider_alchemy.api.mint_waiting import DEFAULT_MIN_TOKENS, MintWait
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.chain.reader import DEFAULT_CONFIRMATIONS
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.triggers.looking import LookingTrigger, Looks


class NewTokensTrigger(LookingTrigger):
    """
    Wait until tokens of a collection are minted on the chain.

    All triggers of a connection in a triggerer share one HTTP session and one budget. Its arguments go through the
    metadata database and are readable there: no key among them. The triggerer may start it again at any time, on
    another machine, or twice at once: what was read since the worker's last look is then read again, and the deadlines
    are moments, not durations.

    :param record: What the worker has read: the blocks, the tokens, the deadlines (``MintRecord.to_dict``).
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param min_tokens: How many different tokens have to be minted. Default 1.
    :param confirmations: Blocks that must follow a block before it counts. Default 12.
    :param poll_interval: Seconds between two polls. Default 60: a poll costs 85 compute units.
    :param exponential_backoff: Whether the interval doubles from poll to poll instead. Default False.
    :param max_wait: The longest interval in seconds where it doubles; default: no limit.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param max_compute_units: What the wait may spend in all; default: any amount.
    """

    arguments = (*LookingTrigger.arguments, "min_tokens", "confirmations")

    def __init__(
        self,
        record: dict[str, Any],
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        min_tokens: int = DEFAULT_MIN_TOKENS,
        confirmations: int = DEFAULT_CONFIRMATIONS,
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
        self.min_tokens = min_tokens
        self.confirmations = confirmations

    def read_record(self) -> MintRecord:
        """
        Rebuild the record.

        :return: It.
        :raises ValueError: It is none.
        """
        record = MintRecord.read(self.record)
        if record is None:
            msg = f"argument 'record' is {str(self.record)[:200]!r} and no record of a wait for new tokens"
            raise ValueError(msg)
        return record

    def wait_of(self, record: MintRecord, subject: str, cadence: Cadence) -> MintWait:
        """
        Give the wait.

        :param record: What was seen so far.
        :param subject: The collection and the connection, for people.
        :param cadence: How often to look.
        """
        return MintWait(
            record,
            subject=subject,
            cadence=cadence,
            log=self.log,
            min_tokens=self.min_tokens,
            confirmations=self.confirmations,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )

    def looks(self, wait: MintWait) -> Looks:
        """
        Give what looks in this process.

        :param wait: The wait.
        """
        return MintLooks(wait.log).look
