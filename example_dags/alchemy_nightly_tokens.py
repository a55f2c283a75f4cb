# SPDX-License-Identifier: Apache-2.0
"""
Refresh the tokens of a list of collections every night, within a limit of compute units.

Each collection gets its share of the night's units and is refused, before anything is refreshed, where it would cost
more. The last task tells what was refreshed, what failed, and what it cost.

Unpausing the DAG starts the run of last night at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import TriggerRule, dag, task

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator

UNITS_A_NIGHT = 900_000
"""A month of such nights is 27 million compute units: less than the 30 million of the free tier."""

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
def alchemy_nightly_tokens() -> None:
    refresh = RefreshCollectionOperator.partial(
        task_id="refresh",
        max_compute_units=UNITS_A_NIGHT // len(COLLECTIONS),
        max_failed=0.05,
        deferrable=True,
        retries=1,
        retry_delay=timedelta(minutes=30),
        # One after the other: together they would only wait for the same account's throughput.
        max_active_tis_per_dagrun=1,
    ).expand(contract_address=COLLECTIONS)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def summarize(collections: list[str], ti: Any = None) -> dict[str, Any]:
        # A task that failed before it began has no result: asked for by index, it leaves a gap and hides no other.
        results = ti.xcom_pull(task_ids="refresh", map_indexes=list(range(len(collections))))
        known = {result["contract_address"]: result for result in results if result}
        return {
            "refreshed": {address: result["counts"]["refreshed"] for address, result in known.items()},
            "without_proof": {
                address: {reason: found["tokens"] for reason, found in result["failures"].items()}
                for address, result in known.items()
                if result["failures"]
            },
            "refused": [address for address in collections if address.lower() not in known],
            "compute_units": sum(result["compute_units"] for result in known.values()),
        }

    refresh >> summarize(COLLECTIONS)


alchemy_nightly_tokens()
