# SPDX-License-Identifier: Apache-2.0
"""The operator that refreshes a collection's tokens on today's API, and proves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.defaults import DEFAULT_CONNECTION_ID, MIN_SECONDS_BETWEEN_ATTEMPTS
from airflow_provider_alchemy.tasks.arguments import (
    check_literals,
    read_amount,
    read_choice,
    read_count,
    read_seconds,
    read_tokens,
)
from airflow_provider_alchemy.tasks.base import MAP_INDEX_TEMPLATE
from airflow_provider_alchemy.tasks.collection import RefreshCollectionTask
from airflow_provider_alchemy.tasks.exceptions import final

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class RefreshCollectionOperator(RefreshCollectionTask):
    """
    Refresh the metadata of every token of an NFT collection, or of some of them, and prove it.

    A token counts as refreshed only when its ``timeLastUpdated`` is later than the task's first request for it. What
    the refresh costs is known, and in the log, before anything is refreshed. On Airflow 3.3 a retry, also after a kill
    of the worker, asks only for the tokens that are not proven yet; before, it starts over.

    :param contract_address: The collection's contract, 0x and 40 hexadecimal digits; mixed case must pass EIP-55.
        Templated.
    :param token_ids: The tokens: a list of ints or of decimal or hexadecimal texts, or a text of them (a JSON or
        Python list, or separated by commas or spaces), or the whole result of a task that has them under this key, such
        as a ``NewTokensSensor``'s. One that is named twice is asked for once; an empty list is none. Default: all of
        the collection, which is listed for 600 compute units a hundred. Templated.
    :param method: ``batch`` (default: 480 units for 100 tokens): ``getNFTMetadataBatch`` with ``refreshCache``;
        ``queue``: ``refreshNftMetadata`` for each token (40 units, once in 15 minutes), and the proof by reading.
    :param network: The network's slug; default: the connection's. Templated.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``. Templated.
    :param token_attempts: How often a token that stays stale, or fails for a reason that may pass, is tried. Default 3.
    :param attempt_interval: Seconds (or a timedelta) between two attempts of a token. Default 10, the least, which is
        what Alchemy asks for; a refresh may take longer to show.
    :param max_failed: How many tokens may end without proof: an int is their number, a float from 0 to 1 their share.
        More fail the task, after everything was tried. Default 0.
    :param max_compute_units: What the task may spend in all, its retries included. A refresh that would cost more is
        refused before it begins; one that needs more tries than that pays for stops. Default: any amount.
    :param report_path: Where to write the full list of tokens without proof, as JSON lines: any path of Airflow's
        ``ObjectStoragePath``. Default: nowhere; the result names 100 for each reason. Templated.
    :param deferrable: Whether to wait in the triggerer instead of the worker between two attempts. Default:
        ``[operators] default_deferrable`` of Airflow's configuration.
    :param map_index_template: What the web UI shows for a mapped task. Default: its collection.
    :param multiple_outputs: Whether each key of the result is an XCom of its own. Default: only ``contract_address``,
        since each is a call to Airflow's API server.
    :return: XCom, pushed also where too many tokens fail: a dict of ``contract_address, network, state, progress,
        already_finished, submitted_at, finished_at, polls, compute_units, usd, method, counts`` (``tokens, refreshed,
        stale, failed``), ``failures`` (reason to ``tokens`` and up to 100 ``token_ids``) and ``duration_seconds``.
    :raises AlchemyTokensFailedError: More tokens than ``max_failed`` are not proven fresh. Airflow may retry it, unless
        more than that failed for reasons that no retry can change: then it is an ``AirflowFailException`` as well.
    :raises AirflowFailException: What a retry cannot change: a wrong argument or connection, a contract that is no
        collection, a refused key, a used-up quota, too small a ``max_compute_units``. It is an ``AlchemyError`` too.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    template_fields: Sequence[str] = ("contract_address", "token_ids", "network", "alchemy_conn_id", "report_path")

    def __init__(
        self,
        *,
        contract_address: str,
        token_ids: Iterable[int | str] | str | None = None,
        method: str = "batch",
        network: str | None = None,
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        token_attempts: int = 3,
        attempt_interval: float | timedelta = MIN_SECONDS_BETWEEN_ATTEMPTS,
        max_failed: float = 0,
        max_compute_units: int | None = None,
        report_path: str | ObjectStoragePath | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        map_index_template: str | None = MAP_INDEX_TEMPLATE,
        multiple_outputs: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        check_literals(contract_address, network, alchemy_conn_id)
        self.contract_address = contract_address
        self.token_ids, _ = read_tokens(token_ids)
        # A template that renders to nothing is a mistake, and no wish to pay for the whole collection.
        self.is_whole_collection = token_ids is None
        self.method = read_choice(method, "method", ("batch", "queue"))
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.token_attempts = read_count(token_attempts, "token_attempts") or 0
        if not self.token_attempts:
            msg = f"argument 'token_attempts' is {token_attempts!r}; expected a whole number from 1"
            raise final(AlchemyArgumentError(msg))
        self.attempt_interval = read_seconds(attempt_interval, "attempt_interval", MIN_SECONDS_BETWEEN_ATTEMPTS)
        self.max_failed = read_amount(max_failed, "max_failed", "tokens")
        self.max_compute_units = read_count(max_compute_units, "max_compute_units")
        self.report_path = report_path
        self.deferrable = deferrable
