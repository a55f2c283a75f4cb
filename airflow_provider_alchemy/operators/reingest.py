# SPDX-License-Identifier: Apache-2.0
"""The operators that submit the refresh of a collection, or of many in one task, and wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.defaults import DEFAULT_CONNECTION_ID, DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.links.collection import DashboardLink
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import (
    check_account,
    check_literals,
    read_amount,
    read_batch_spending_limit,
    read_choice,
    read_contracts,
    read_count,
    read_max_interval,
    read_seconds,
    read_spending_limit,
)
from airflow_provider_alchemy.tasks.base import MAP_INDEX_TEMPLATE
from airflow_provider_alchemy.tasks.batch import ReingestContractsTask
from airflow_provider_alchemy.tasks.collection import FallbackTask
from airflow_provider_alchemy.tasks.exceptions import final
from airflow_provider_alchemy.tasks.placement import place, warn_of_mapping

if TYPE_CHECKING:
    from airflow_provider_alchemy.waits.interval import Interval


class ReingestContractOperator(FallbackTask):
    """
    Submit the metadata refresh of an NFT collection (``reingestContract``), or join the one that runs.

    A refresh that Alchemy cannot queue is submitted again, with back-off. Alchemy cannot cancel a refresh: where
    the task is killed or fails, it goes on there, and a retry joins it.

    :param contract_address: The collection's contract, 0x and 40 hexadecimal digits; mixed case must pass EIP-55.
        Templated.
    :param network: The network's slug; default: the connection's. Templated.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``. Templated.
    :param wait_for_completion: Whether to wait for the refresh's end. Default False, because a ``ReingestSensor``
        or another DAG may wait for it.
    :param fallback: What to do where ``reingestContract`` is gone, or the network does not have it: ``tokens``: refresh
        the collection's tokens instead, as ``RefreshCollectionOperator`` does it (``batch``, all tokens, each proven),
        in a worker, with a warning and the same result. ``timeout`` limits the wait for ``reingestContract`` only.
        Needs ``wait_for_completion``. Default None: fail.
    :param deferrable: Whether to wait in the triggerer instead of a worker. Default:
        ``[operators] default_deferrable`` of Airflow's configuration.
    :param poll_interval: Seconds between two polls (or a timedelta), the fewest where ``adaptive``. Default 60: each
        poll costs 480 compute units.
    :param adaptive: Whether polls follow the refresh's progress: where its end is expected, and ever more rarely while
        it is queued. Default True, because each poll costs 480 compute units; False: every ``poll_interval`` seconds.
    :param max_poll_interval: Seconds (or a timedelta) between two polls at most, where ``adaptive``. Default: ten
        minutes, or ``poll_interval`` where that is longer.
    :param max_compute_units: What the task may spend in all: it fails before a poll, or a refresh of the tokens, that
        would cost more. Default: any amount.
    :param start_from_trigger: Whether the task starts in the triggerer, without a worker; it is deferrable then.
        Default: ``[alchemy] start_from_trigger`` of Airflow's configuration, for deferrable tasks that can.
    :param end_from_trigger: Whether a task that ends well ends in the triggerer, without a worker; it is deferrable
        then. Default: ``[alchemy] end_from_trigger``, for deferrable tasks that can. Needs Airflow 3.3.
    :param timeout: Seconds (or a timedelta) until the wait gives up with ``AirflowSensorTimeout``. Default a day:
        a refresh that takes longer is most likely lost.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 3.
    :param max_consecutive_failures: Polls in a row that may fail for the service's trouble before the wait does;
        None: any number, until the timeout. Default 10.
    :param map_index_template: What the web UI shows for a mapped task. Default: its collection.
    :param multiple_outputs: Whether each key of the result is an XCom of its own. Default: only ``contract_address``,
        for ``task.output["contract_address"]`` of a DAG: each XCom is a call to Airflow's API server.
    :return: XCom: a dict of ``contract_address, network, state, progress, already_finished, submitted_at,
        finished_at, polls, compute_units, usd``.
    :raises AirflowFailException: What a retry cannot change: a wrong argument or connection, a contract that is no
        collection, a refused key, a used-up quota, an endpoint that is gone. It is an ``AlchemyError`` as well.
    :raises AlchemyTokensFailedError: Not all tokens are proven fresh (``fallback``).
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    template_fields: Sequence[str] = ("contract_address", "network", "alchemy_conn_id")

    def __init__(
        self,
        *,
        contract_address: str,
        network: str | None = None,
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        wait_for_completion: bool = False,
        fallback: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 60,
        adaptive: bool = True,
        max_poll_interval: float | timedelta | None = None,
        max_compute_units: int | None = None,
        start_from_trigger: bool | None = None,
        end_from_trigger: bool | None = None,
        timeout: float | timedelta = timedelta(days=1),
        max_resubmits: int = 3,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        map_index_template: str | None = MAP_INDEX_TEMPLATE,
        multiple_outputs: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        check_literals(contract_address, network, alchemy_conn_id)
        self.contract_address = contract_address
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.wait_for_completion = self.waits_for_end = wait_for_completion
        self.fallback = read_choice(fallback, "fallback", ("tokens", None))
        if fallback and not wait_for_completion:
            msg = f"argument 'fallback' is {fallback!r}, and only a task that waits can prove the tokens"
            advice = "Set wait_for_completion=True too, or leave out fallback"
            raise final(AlchemyArgumentError(msg, advice=advice))
        self.deferrable = deferrable
        self.poll_interval = read_seconds(poll_interval, "poll_interval")
        self.timeout = read_seconds(timeout, "timeout")
        self.max_resubmits = read_count(max_resubmits, "max_resubmits") or 0
        self.max_consecutive_failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.adaptive = adaptive
        self.max_poll_interval = read_max_interval(max_poll_interval, self.poll_interval)
        self.max_compute_units = read_spending_limit(max_compute_units)
        place(self, start_from_trigger=start_from_trigger, end_from_trigger=end_from_trigger)

    def interval(self) -> Interval:
        """Give how often the task polls."""
        return lazy.interval.Interval(
            seconds=self.poll_interval, max_seconds=self.max_poll_interval, adaptive=self.adaptive
        )

    def time_limit_seconds(self) -> float:
        """Give how long the task waits."""
        return self.timeout

    def execute(self, context: Any) -> dict[str, Any]:
        """
        Submit the refresh, and wait for its end where asked.

        :param context: The task's context.
        :return: The refresh's status and what it cost.
        """
        warn_of_mapping(self, context)
        result = self.go_on_with_tokens(context)
        return super().execute(context) if result is None else self.complete(context, result)


class ReingestContractsOperator(ReingestContractsTask):
    """
    Submit the metadata refreshes of up to 10,000 NFT collections and wait until all have ended, in one task.

    The task is always deferred: two short worker processes, and one trigger that asks for all contracts within the
    account's throughput. On Airflow 3.3 a killed triggerer or worker loses next to nothing: contracts that had ended
    are not asked for again, nor by a retry. Before, a restart asks for all again, which joins the refreshes that run.

    What concerns the account and not one contract (a refused key, a used-up quota, ``max_compute_units``) stops the
    whole batch. Alchemy cannot cancel a refresh: where the task is killed or fails, those submitted go on there.

    :param contract_addresses: The collections' contracts: a list, or a text of them (a JSON or Python list, or
        separated by commas or spaces). Each is checked before anything is sent; one that is named twice is asked for
        once. Templated.
    :param network: The network's slug; default: the connection's. Templated.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``. Templated.
    :param poll_interval: Seconds (or a timedelta) between two polls of a contract, the fewest where ``adaptive``.
        Default 60: each poll costs 480 compute units.
    :param adaptive: Whether polls follow each refresh's progress. Default True, because each poll costs 480 compute
        units; False: every ``poll_interval`` seconds.
    :param max_poll_interval: Seconds (or a timedelta) between two polls of a contract at most, where ``adaptive``.
        Default: ten minutes, or ``poll_interval`` where that is longer.
    :param timeout: Seconds (or a timedelta) after which the contracts that have not ended fail. Default a day.
    :param max_failed: How many contracts may fail: an int is their number, a float from 0 to 1 their share. More fail
        the task, after all others have been waited for. Default 0.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 3.
    :param max_consecutive_failures: Polls of a contract in a row that may fail for the service's trouble before its
        wait does; None: any number, until the timeout. Default 10.
    :param max_compute_units: What the task may spend in all, its retries included: it stops before a poll that would
        cost more. Default: any amount.
    :param multiple_outputs: Whether each key of the result is an XCom of its own. Default: none, since each is a call
        to Airflow's API server.
    :return: XCom, pushed also where the task fails: a dict of ``network``, ``counts`` (``contracts, finished, failed,
        already_finished, duplicates``), ``finished`` (contracts), ``failed`` (reason to contracts), ``polls``,
        ``compute_units``, ``usd``, ``submitted_at`` and ``finished_at``.
    :raises AlchemyContractsFailedError: More contracts failed than ``max_failed`` allows. Airflow may retry it, unless
        more than that failed for reasons that no retry can change: then it is an ``AirflowFailException`` as well.
    :raises AirflowSensorTimeout: The same, where nothing went wrong but that the timeout was over.
    :raises AirflowFailException: What the user has to correct: a wrong argument or connection, a refused key, a used-up
        quota. It is an ``AlchemyError`` as well.
    """

    template_fields: Sequence[str] = ("contract_addresses", "network", "alchemy_conn_id")
    xcom_keys = ()
    operator_extra_links = (DashboardLink(),)

    def __init__(
        self,
        *,
        contract_addresses: Iterable[str] | str,
        network: str | None = None,
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        poll_interval: float | timedelta = 60,
        adaptive: bool = True,
        max_poll_interval: float | timedelta | None = None,
        timeout: float | timedelta = timedelta(days=1),
        max_failed: float = 0,
        max_resubmits: int = 3,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
        multiple_outputs: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        self.contract_addresses, contracts = read_contracts(contract_addresses)
        check_account(network, alchemy_conn_id)
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = read_seconds(poll_interval, "poll_interval")
        self.adaptive = adaptive
        self.max_poll_interval = read_max_interval(max_poll_interval, self.poll_interval)
        self.timeout = read_seconds(timeout, "timeout")
        self.max_failed = read_amount(max_failed, "max_failed", "contracts")
        self.max_resubmits = read_count(max_resubmits, "max_resubmits") or 0
        self.max_consecutive_failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.max_compute_units = read_batch_spending_limit(max_compute_units, contracts)
