# SPDX-License-Identifier: Apache-2.0
"""The operator that submits a collection's refresh, and waits for it where asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.api.records import Cadence
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.tasks.arguments import check_literals, read_count, read_seconds
from airflow_provider_alchemy.tasks.reingest import MAP_INDEX_TEMPLATE, ReingestTask, label_mapped_task


class ReingestContractOperator(ReingestTask):
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
    :param deferrable: Whether to wait in the triggerer instead of a worker. Default:
        ``[operators] default_deferrable`` of Airflow's configuration.
    :param poll_interval: Seconds between two polls (or a timedelta). Default 60: each poll costs 480 compute units.
    :param timeout: Seconds (or a timedelta) until the wait gives up with ``AirflowSensorTimeout``. Default a day:
        a refresh that takes longer is most likely lost.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 3.
    :param max_consecutive_failures: Polls in a row that may fail for the service's trouble before the wait does;
        None: any number, until the timeout. Default 10.
    :param map_index_template: What the web UI shows for a mapped task. Default: its collection.
    :param multiple_outputs: Whether each key of the result is an XCom of its own as well. Default True:
        ``task.output["contract_address"]`` of a DAG reads the XCom of that name.
    :return: XCom: a dict of ``contract_address, network, state, progress, already_finished, submitted_at,
        finished_at, polls, compute_units``.
    :raises AirflowFailException: What a retry cannot mend: a wrong argument or connection, a contract that is no
        collection, a refused key, a used-up quota, an endpoint that is gone. It is an ``AlchemyError`` as well.
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    def __init__(
        self,
        *,
        contract_address: str,
        network: str | None = None,
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 60,
        timeout: float | timedelta = timedelta(days=1),
        max_resubmits: int = 3,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        map_index_template: str | None = MAP_INDEX_TEMPLATE,
        multiple_outputs: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        check_literals(contract_address, network, alchemy_conn_id)
        self.contract_address = contract_address
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = read_seconds(poll_interval, "poll_interval")
        self.timeout = read_seconds(timeout, "timeout")
        self.max_resubmits = read_count(max_resubmits, "max_resubmits") or 0
        self.max_consecutive_failures = read_count(max_consecutive_failures, "max_consecutive_failures")

    def cadence(self) -> Cadence:
        """Give how often the task looks."""
        return Cadence(interval_seconds=self.poll_interval)

    def time_limit_seconds(self) -> float:
        """Give how long the task waits, in seconds."""
        return self.timeout

    def execute(self, context: Any) -> dict[str, Any]:
        """
        Submit the refresh, and wait for its end where asked.

        :param context: The task's context.
        :return: The refresh's status and what it cost.
        """
        label_mapped_task(context)
        return self.look_on(context, until_the_end=self.wait_for_completion)
