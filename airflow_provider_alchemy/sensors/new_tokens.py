# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until tokens of a collection are minted on the chain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import read_confirmations, read_min_tokens, read_since, read_since_block
from airflow_provider_alchemy.api.logs import plural
from airflow_provider_alchemy.defaults import (
    DEFAULT_CONNECTION_ID,
    DEFAULT_MAX_CONSECUTIVE_FAILURES,
    DEFAULT_MIN_TOKENS,
)
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import check_literals, check_value, read_count, read_spending_limit
from airflow_provider_alchemy.tasks.base import MAP_INDEX_TEMPLATE
from airflow_provider_alchemy.tasks.exceptions import final
from airflow_provider_alchemy.tasks.waiting import WaitingSensor

if TYPE_CHECKING:
    from airflow_provider_alchemy.triggers.wait import NewTokensTrigger
    from airflow_provider_alchemy.waits.new_tokens import NewTokensState


class NewTokensSensor(WaitingSensor):
    """
    Wait until tokens of a collection are minted on the chain, and return which.

    A mint is an event that comes from the zero address: ``Transfer`` of ERC-721 (its arguments may be in the data, as
    in contracts that are older than the standard), ``TransferSingle`` and ``TransferBatch`` of ERC-1155,
    ``ConsecutiveTransfer`` of ERC-2309. An id of an ERC-1155 that was minted before counts as well, once. Each poll
    reads the blocks since the last one (10 compute units for the newest block, 60 for the logs, more calls where the
    plan allows fewer blocks in one), none of them twice. Poke, reschedule and deferred mode give the same result and
    the same exceptions. On Airflow 3.3 a retry goes on where the earlier try stopped; before, it begins anew, and
    ``since_block`` or ``since`` say where.

    :param contract_address: The collection's contract, 0x and 40 hexadecimal digits; mixed case must pass EIP-55.
        Templated.
    :param since_block: The first block that counts: an int or a text of digits, such as the XCom ``next_block`` of an
        earlier run. Default: the newest block at the task's first poll. Templated.
    :param since: The moment from which on blocks count instead: an aware datetime, or a text in ISO 8601 with a time
        zone; it may be still to come. Its block is found in some ten calls of 20 compute units. Templated.
    :param min_tokens: How many different tokens have to be minted. Default 1. The result has all that there are.
    :param confirmations: Blocks that must follow a block before it counts; what a reorganisation removes before is
        never reported. Default: by the network's block time, a minute of blocks and 12 at least (12 on Ethereum, 30 on
        Base, 240 on Arbitrum, 60 on a network whose block time is not known); the log names the number. A node that is
        behind answers that a block it does not have yet holds nothing: fewer blocks than that may miss tokens.
    :param network: The network's slug; default: the connection's. Templated.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``. Templated.
    :param deferrable: Whether to wait in the triggerer, which takes no worker slot. Default:
        ``[operators] default_deferrable`` of Airflow's configuration.
    :param max_compute_units: What the task may spend in all. Default: any amount.
    :param max_consecutive_failures: Polls in a row that may fail for the service's trouble before the wait does;
        None: any number, until the timeout. Default 10. ``silent_fail`` means None.
    :param map_index_template: What the web UI shows for a mapped task. Default: its collection.
    :param multiple_outputs: Whether each key of the result is an XCom of its own. Default: only ``contract_address``
        and ``token_ids``, since each is a call to Airflow's API server.
    :param kwargs: Those of ``BaseSensorOperator``: ``poke_interval`` (60 s), ``timeout``, ``mode``, ``soft_fail``,
        ``never_fail``, ``exponential_backoff``, ``max_wait``; they mean the same in every mode.
    :return: XCom: a dict of ``contract_address, network, state, progress`` (None), ``token_ids`` (decimal texts in the
        order of their numbers, for ``RefreshCollectionOperator``; None where there are more than 100,000),
        ``token_count, since_block, until_block, next_block`` (where the next wait begins), ``submitted_at,
        finished_at, polls, compute_units, usd``.
    :raises AirflowFailException: What a retry cannot change; it is an ``AlchemyError`` as well.
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    template_fields: Sequence[str] = ("contract_address", "since_block", "since", "network", "alchemy_conn_id")
    xcom_keys = ("contract_address", "token_ids")
    store_key = "alchemy_new_tokens"
    loss_between_pokes = "each reads the chain again from where the sensor began"

    def __init__(
        self,
        *,
        contract_address: str,
        since_block: int | str | None = None,
        since: str | datetime | None = None,
        min_tokens: int = DEFAULT_MIN_TOKENS,
        confirmations: int | None = None,
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
        if since_block is not None and since is not None:
            msg = "both arguments 'since_block' and 'since' are given; expected one of them, or none"
            raise final(AlchemyArgumentError(msg, advice="Leave out 'since', which only finds the block by its time"))
        check_value(since_block, read_since_block, is_optional=True)
        check_value(since, read_since, is_optional=True)
        self.contract_address = contract_address
        self.since_block = since_block
        self.since = since
        # A template that renders to nothing is a mistake, and no wish to begin at the newest block.
        self.has_block = since_block is not None
        self.has_moment = since is not None
        self.min_tokens = check_value(min_tokens, read_min_tokens)
        self.confirmations = check_value(confirmations, read_confirmations, is_optional=True)
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.deferrable = deferrable
        self.max_compute_units = read_spending_limit(
            max_compute_units, lambda: lazy.new_tokens.MIN_PRICE, "to read the chain once"
        )
        failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.max_consecutive_failures = None if self.silent_fail else failures

    @property
    def trigger_type(self) -> type[NewTokensTrigger]:
        """The trigger that waits in the triggerer."""
        return lazy.wait_trigger.NewTokensTrigger

    def new_state(self, context: Any, contract_address: str, network: str) -> NewTokensState:  # noqa: ARG002
        """Give a state in which nothing was read yet, from the rendered arguments."""
        return lazy.new_tokens.NewTokensState(
            contract_address=contract_address,
            network=network,
            min_tokens=self.min_tokens,
            confirmations=lazy.networks.default_confirmations(network)
            if self.confirmations is None
            else self.confirmations,
            asked_block=read_since_block(self.since_block) if self.has_block else None,
            asked_time=read_since(self.since) if self.has_moment else None,
        )

    def resumed(self, saved: NewTokensState, new: NewTokensState, *, is_same_try: bool) -> NewTokensState | None:
        """Go on where an earlier process stopped to read."""
        if (saved.network, saved.asked_block) != (new.network, new.asked_block):
            return None
        if super().resumed(saved, new, is_same_try=is_same_try) is None:
            return None
        saved.min_tokens, saved.confirmations = new.min_tokens, new.confirmations
        if saved.asked_time != new.asked_time:
            # A template that moves with each process, such as {{ ti.start_date }}: the tokens of the time in between
            # must not be lost.
            self.log.info("since is not that of the earlier process: going on from that one")
        if not is_same_try:
            self.log.info(
                "An earlier try has read up to block %s and found %s: going on from there",
                "none" if saved.until_block is None else f"{saved.until_block:,}",
                plural(lazy.new_tokens.NewTokensGoal(saved).count, "token"),
            )
            saved.status = None
        return saved

    def resume_first_poke(self, state: NewTokensState, at: datetime) -> None:
        """Go on without a store after earlier pokes: read from the block that was the newest at the first one."""
        super().resume_first_poke(state, at)
        if state.asked_block is None and state.asked_time is None:
            state.asked_time = at - lazy.new_tokens.BLOCK_DELAY
