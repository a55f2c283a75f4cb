# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until tokens of a collection are minted on the chain."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.api.mint_waiting import DEFAULT_MIN_TOKENS, PRICE_OF_LOOK
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.chain.reader import DEFAULT_CONFIRMATIONS
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.sensors.looking import LookingSensor
from airflow_provider_alchemy.tasks.arguments import check_literals, read_count
from airflow_provider_alchemy.tasks.fresh_arguments import read_spending
from airflow_provider_alchemy.tasks.labels import MAP_INDEX_TEMPLATE
from airflow_provider_alchemy.tasks.new_tokens import NewTokensTask
from airflow_provider_alchemy.tasks.new_tokens_arguments import check_begin, read_confirmations, read_min_tokens


class NewTokensSensor(NewTokensTask, LookingSensor):
    """
    Wait until tokens of a collection are minted on the chain, and tell which.

    A mint is a ``Transfer`` of ERC-721 from the zero address. Each poll reads the blocks since the last one (10
    compute units for the newest block, 75 for the logs, more calls where the plan allows fewer blocks in one), none of
    them twice. Poke, reschedule and deferred mode give the same result and the same exceptions. On Airflow 3.3 a retry
    goes on where the earlier try stopped; before, it begins anew, and ``since_block`` or ``since`` say where.

    :param contract_address: The collection's contract, 0x and 40 hexadecimal digits; mixed case must pass EIP-55.
        Templated.
    :param since_block: The first block that counts: an int or a text of digits, such as the XCom ``next_block`` of an
        earlier run. Default: the newest block at the task's first look. Templated.
    :param since: The moment from which on blocks count instead: an aware datetime, or a text in ISO 8601 with a time
        zone; it may be still to come. Its block is found in some ten calls of 20 compute units. Templated.
    :param min_tokens: How many different tokens have to be minted. Default 1. The result has all that there are.
    :param confirmations: Blocks that must follow a block before it counts; what a reorganisation removes before is
        never told. Default 12, some two and a half minutes of Ethereum.
    :param network: The network's slug; default: the connection's. Templated.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``. Templated.
    :param deferrable: Whether to wait in the triggerer, which takes no worker slot. Default:
        ``[operators] default_deferrable`` of Airflow's configuration.
    :param max_compute_units: What the task may spend in all. Default: any amount.
    :param max_consecutive_failures: Polls in a row that may fail for the service's trouble before the wait does;
        None: any number, until the timeout. Default 10. ``silent_fail`` means None.
    :param map_index_template: What the web UI shows for a mapped task. Default: its collection.
    :param multiple_outputs: Whether each key of the result is an XCom of its own as well. Default True.
    :param kwargs: Those of ``BaseSensorOperator``: ``poke_interval`` (60 s), ``timeout``, ``mode``, ``soft_fail``,
        ``never_fail``, ``exponential_backoff``, ``max_wait``; they mean the same in every mode.
    :return: XCom: a dict of ``contract_address, network, state, progress`` (None), ``token_ids`` (decimal texts in the
        order of their numbers, for ``RefreshCollectionOperator``), ``token_count, since_block, until_block``,
        ``next_block`` (where the next wait begins), ``submitted_at, finished_at, polls, compute_units``.
    :raises AirflowFailException: What a retry cannot mend; it is an ``AlchemyError`` as well.
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    def __init__(
        self,
        *,
        contract_address: str,
        since_block: int | str | None = None,
        since: str | datetime | None = None,
        min_tokens: int = DEFAULT_MIN_TOKENS,
        confirmations: int = DEFAULT_CONFIRMATIONS,
        network: str | None = None,
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        max_compute_units: int | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        map_index_template: str | None = MAP_INDEX_TEMPLATE,
        multiple_outputs: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        check_literals(contract_address, network, alchemy_conn_id)
        check_begin(since_block, since)
        self.contract_address = contract_address
        self.since_block = since_block
        self.since = since
        # A template that renders to nothing is a mistake, and no wish to begin at the newest block.
        self.has_block = since_block is not None
        self.has_moment = since is not None
        self.min_tokens = read_min_tokens(min_tokens)
        self.confirmations = read_confirmations(confirmations)
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.deferrable = deferrable
        self.max_compute_units = read_spending(max_compute_units, PRICE_OF_LOOK, "to look at the chain once")
        failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.max_consecutive_failures = None if self.silent_fail else failures
