# SPDX-License-Identifier: Apache-2.0
"""
Refresh a list of collections every night, one mapped task each, and say in the morning what failed.

``max_active_tis_per_dagrun`` keeps the tasks within a small account's throughput. Airflow 2.11 and 3.0 do not count
deferred tasks there; a pool made with ``airflow pools set --include-deferred`` does the same on each, for all DAGs.

Unpausing the DAG starts the run of last night at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import TriggerRule, dag, task

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator

COLLECTIONS = [
    "0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D",
    "0x60E4d786628Fea6478F785A6d7e704777c86a7c6",
    "0xED5AF388653567Af2F388E6224dC7C4b3241C544",
    "0x8a90CAb2b38dba80c64b7734e58Ee1dB38B8992e",
]


@dag(
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_nightly_refresh() -> None:
    refresh = ReingestContractOperator.partial(
        task_id="refresh",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=120,
        timeout=timedelta(hours=5),
        retries=2,
        retry_delay=timedelta(minutes=5),
        max_active_tis_per_dagrun=16,
    ).expand(contract_address=COLLECTIONS)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def summarize(collections: list[str], ti: Any = None) -> dict[str, Any]:
        # A task that failed has no result: asked for by index, it leaves a gap and hides none that comes after it.
        results = ti.xcom_pull(task_ids="refresh", map_indexes=list(range(len(collections))))
        refreshes = [result for result in results if result]
        finished = {refresh["contract_address"] for refresh in refreshes}
        return {
            "finished": len(finished),
            "failed": [address for address in collections if address.lower() not in finished],
            "compute_units": sum(refresh["compute_units"] for refresh in refreshes),
        }

    refresh >> summarize(COLLECTIONS)


alchemy_nightly_refresh()
