# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits for the proof that a collection's metadata is fresh."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.inputs import check_not_ahead, read_fresh_since, read_token_ids
from airflow_provider_alchemy.defaults import (
    DEFAULT_CONNECTION_ID,
    DEFAULT_MAX_CONSECUTIVE_FAILURES,
    DEFAULT_MIN_FRESH,
    DEFAULT_SAMPLE_SIZE,
)
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import (
    check_literals,
    check_value,
    read_amount,
    read_count,
    read_sample_size,
    read_seed,
    read_spending_limit,
    read_tokens,
)
from airflow_provider_alchemy.tasks.base import MAP_INDEX_TEMPLATE
from airflow_provider_alchemy.tasks.waiting import WaitingSensor

if TYPE_CHECKING:
    from airflow_provider_alchemy.triggers.wait import FreshnessTrigger
    from airflow_provider_alchemy.waits.freshness import FreshnessState


class MetadataFreshSensor(WaitingSensor):
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
        map index, so that each run reads other tokens and a retry the same.
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
    :param multiple_outputs: Whether each key of the result is an XCom of its own. Default: only ``contract_address``,
        since each is a call to Airflow's API server.
    :param kwargs: Those of ``BaseSensorOperator``: ``poke_interval`` (60 s), ``timeout``, ``mode``, ``soft_fail``,
        ``never_fail``, ``exponential_backoff``, ``max_wait``; they mean the same in every mode.
    :return: XCom: a dict of ``contract_address, network, state, progress, fresh_since, seed, token_ids, counts,
        failures, submitted_at, finished_at, polls, compute_units, usd``.
    :raises AirflowFailException: What a retry cannot change; it is an ``AlchemyError`` as well.
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    template_fields: Sequence[str] = ("contract_address", "fresh_since", "token_ids", "network", "alchemy_conn_id")
    store_key = "alchemy_freshness"
    loss_between_pokes = "each samples the collection again, 600 compute units per hundred of its tokens"

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
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        max_compute_units: int | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        map_index_template: str | None = MAP_INDEX_TEMPLATE,
        multiple_outputs: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        check_literals(contract_address, network, alchemy_conn_id)
        check_value(fresh_since, read_fresh_since)
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
        self.max_compute_units = read_spending_limit(
            max_compute_units,
            lambda: lazy.freshness.MIN_SAMPLE_PRICE if self.is_sampling else lazy.endpoints.price_of_poll(known),
            "to ask for the tokens once",
        )
        failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.max_consecutive_failures = None if self.silent_fail else failures

    @property
    def trigger_type(self) -> type[FreshnessTrigger]:
        """The trigger that waits in the triggerer."""
        return lazy.wait_trigger.FreshnessTrigger

    def new_state(self, context: Any, contract_address: str, network: str) -> FreshnessState:
        """Give a state in which nothing was seen yet, from the rendered arguments."""
        fresh_since = read_fresh_since(self.fresh_since)
        check_not_ahead(fresh_since, pendulum.now("UTC"))
        state = lazy.freshness.FreshnessState(
            contract_address=contract_address,
            network=network,
            fresh_since=fresh_since,
            min_fresh=str(self.min_fresh),
        )
        if self.is_sampling:
            state.sample_size, state.seed = self.sample_size, self.seed
            if state.seed is None:
                names = ("dag_id", "run_id", "task_id", "map_index")
                state.seed = lazy.freshness.seed_of(*(getattr(context.get("ti"), name, None) for name in names))
            return state
        given = read_token_ids(self.token_ids)
        state.choose(given.ids)
        if given.duplicates:
            words = "%s of the token ids are named more than once, and asked for once"
            self.log.info(words, f"{given.duplicates:,}")
        return state

    def resumed(self, saved: FreshnessState, new: FreshnessState, *, is_same_try: bool) -> FreshnessState | None:
        """Go on with the tokens that an earlier process chose, which was paid for, and with what is proven."""
        if any(getattr(saved, name) != getattr(new, name) for name in ("network", "seed", "sample_size")):
            return None
        if not self.is_sampling and saved.digest != new.digest:
            return None
        if super().resumed(saved, new, is_same_try=is_same_try) is None:
            return None
        saved.min_fresh = new.min_fresh
        if saved.fresh_since != new.fresh_since:
            # A template that moves with each process, such as {{ ti.start_date }}: the proofs are of another time.
            self.log.info("fresh_since is not that of the earlier process: the tokens are to be proven anew")
            saved.fresh_since = new.fresh_since
            saved.forget_proofs()
        elif not is_same_try:
            counts = lazy.freshness.FreshnessGoal(saved).counts()
            words = "An earlier try has proven %s of %s tokens: waiting for the others"
            self.log.info(words, f"{counts.fresh:,}", f"{counts.tokens:,}")
            # What failed may have been corrected since.
            saved.failed, saved.next_position, saved.status = {}, 0, None
        return saved

    def restore(self, state: FreshnessState) -> None:
        """Put the given tokens back into a state that came without them."""
        if state.ids is not None:
            return
        digest = state.digest
        state.choose(read_token_ids(self.token_ids).ids)
        if state.digest != digest:
            msg = "the list of tokens is not the one that the wait began with"
            raise AlchemyUnexpectedAnswerError(msg, advice="Clear the task to begin anew")
