# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits for the proof that a collection's metadata is fresh."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.api.endpoints import LEAST_PRICE_OF_SAMPLE, price_of_look
from airflow_provider_alchemy.api.fresh_waiting import DEFAULT_MIN_FRESH
from airflow_provider_alchemy.api.sampling import DEFAULT_SAMPLE_SIZE
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.sensors.looking import LookingSensor
from airflow_provider_alchemy.tasks.arguments import check_literals, read_count
from airflow_provider_alchemy.tasks.batch_arguments import read_amount, read_tokens
from airflow_provider_alchemy.tasks.fresh_arguments import (
    check_moment,
    read_sample_size,
    read_seed,
    read_spending,
)
from airflow_provider_alchemy.tasks.labels import MAP_INDEX_TEMPLATE
from airflow_provider_alchemy.tasks.metadata_fresh import MetadataFreshTask


class MetadataFreshSensor(MetadataFreshTask, LookingSensor):
    """
    Wait until the metadata of a collection's tokens is proven to be newer than a moment.

    It is the proof after any kind of refresh: ``timeLastUpdated`` of each token is later than ``fresh_since``, and its
    answer has no error. The sensor refreshes nothing itself. Without ``token_ids`` it reads the list of the
    collection's tokens once (600 compute units per hundred) and waits for a random sample of them. Each poll asks
    only for the tokens that are not proven yet (480 units per hundred). Poke, reschedule and deferred mode give the
    same result and the same exceptions.

    :param contract_address: The collection's contract, 0x and 40 hexadecimal digits; mixed case must pass EIP-55.
        Templated.
    :param fresh_since: What the metadata has to be newer than: an aware datetime, or a text in ISO 8601 with a time
        zone, such as ``{{ dag_run.start_date }}`` or the XCom ``submitted_at`` of the task that refreshed. Templated.
    :param token_ids: The tokens to wait for: a list of ids (int, or text of decimal or hexadecimal digits), or a text
        of them. Default: a sample of the collection. Templated.
    :param sample_size: How many tokens are sampled, 1 to 10,000. Default 100, which is one call a poll; where so many
        random tokens are fresh, with 95 % certainty no more than 3 % of a collection are not.
    :param seed: The same seed samples the same tokens of the same collection. Default: derived from DAG, run, task and
        map index, so that each run looks at other tokens and a retry at the same.
    :param min_fresh: How many of the tokens have to be fresh: a share as a decimal from 0.0 to 1.0, or a whole number
        (all of them, where there are fewer). Default 1.0: all; ``1`` is one token.
    :param network: The network's slug; default: the connection's. Templated.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``. Templated.
    :param deferrable: Whether to wait in the triggerer, which takes no worker slot. Default:
        ``[operators] default_deferrable`` of Airflow's configuration.
    :param max_compute_units: What the task may spend in all; a list that would cost more is not begun. Default: any
        amount.
    :param max_consecutive_failures: Polls in a row that may fail for the service's trouble before the wait does;
        None: any number, until the timeout. Default 10. ``silent_fail`` means None.
    :param map_index_template: What the web UI shows for a mapped task. Default: its collection.
    :param multiple_outputs: Whether each key of the result is an XCom of its own as well. Default True.
    :param kwargs: Those of ``BaseSensorOperator``: ``poke_interval`` (60 s), ``timeout``, ``mode``, ``soft_fail``,
        ``never_fail``, ``exponential_backoff``, ``max_wait``; they mean the same in every mode.
    :return: XCom: a dict of ``contract_address, network, state, progress, fresh_since, seed, token_ids, counts,
        failures, submitted_at, finished_at, polls, compute_units``.
    :raises AirflowFailException: What a retry cannot mend; it is an ``AlchemyError`` as well.
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    def __init__(
        self,
        *,
        contract_address: str,
        fresh_since: str | datetime,
        token_ids: Iterable[int | str] | str | None = None,
        sample_size: int = DEFAULT_SAMPLE_SIZE,
        seed: int | None = None,
        min_fresh: float = DEFAULT_MIN_FRESH,
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
        check_moment(fresh_since)
        self.contract_address = contract_address
        self.fresh_since = fresh_since
        self.token_ids, known = read_tokens(token_ids)
        # A template that renders to nothing is a mistake, and no wish for a sample.
        self.is_sampling = token_ids is None
        self.sample_size = read_sample_size(sample_size)
        self.seed = read_seed(seed)
        self.min_fresh = read_amount(min_fresh, "min_fresh", "tokens")
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.deferrable = deferrable
        price = LEAST_PRICE_OF_SAMPLE if self.is_sampling else price_of_look(known)
        self.max_compute_units = read_spending(max_compute_units, price)
        failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.max_consecutive_failures = None if self.silent_fail else failures
