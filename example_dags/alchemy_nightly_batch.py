# SPDX-License-Identifier: Apache-2.0
"""
Refresh many collections every night in one task, within the account's throughput.

One task and one trigger serve up to 10,000 collections, whatever their number. One in a hundred may fail; the last
task tells which, also when more did.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_alchemy.operators.reingest import ReingestContractsOperator

COLLECTIONS = [
    "0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D",
    "0xED5AF388653567Af2F388E6224dC7C4b3241C544",
]


@dag(
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_nightly_batch() -> None:
    @task
    def collections() -> list[str]:
        return COLLECTIONS

    refresh = ReingestContractsOperator(
        task_id="refresh",
        contract_addresses=collections(),
        max_failed=0.01,
        max_compute_units=2_000_000,
        timeout=timedelta(hours=8),
        retries=2,
        retry_delay=timedelta(minutes=10),
    )

    @task(trigger_rule="all_done")
    def report(result: dict[str, Any]) -> str:
        counts, reasons = result["counts"], {reason: len(found) for reason, found in result["failed"].items()}
        return (
            f"{counts['finished']} of {counts['contracts']} fresh, failed: {reasons}, {result['compute_units']} units."
        )

    report(refresh.output)


alchemy_nightly_batch()
