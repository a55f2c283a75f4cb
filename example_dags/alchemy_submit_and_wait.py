# SPDX-License-Identifier: Apache-2.0
"""Refresh one collection with one task, which submits the refresh and waits for its end in the triggerer."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={
        "contract_address": Param(
            "0xE9FCa552b9eb110c2d170962aF740725F71F5644",
            type="string",
            pattern="^0x[0-9a-fA-F]{40}$",
            description="The collection to refresh",
        )
    },
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_submit_and_wait() -> None:
    ReingestContractOperator(
        task_id="refresh",
        contract_address="{{ params.contract_address }}",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=30,
        timeout=timedelta(hours=12),
    )


alchemy_submit_and_wait()
