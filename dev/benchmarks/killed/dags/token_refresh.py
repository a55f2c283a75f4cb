# SPDX-License-Identifier: Apache-2.0
"""One task that refreshes the tokens of a collection, and is tried again at once where its worker is killed."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator

TOKENS = int(os.environ["BENCHMARK_TOKENS"])

for dag_id, token_ids in (
    ("token_refresh_listed", None),
    ("token_refresh_given", list(range(TOKENS))),
    ("token_refresh_warm_up", [0]),
):
    with DAG(dag_id, schedule=None):
        RefreshCollectionOperator(
            task_id="refresh",
            contract_address=os.environ["BENCHMARK_COLLECTION"],
            token_ids=token_ids,
            retries=2,
            retry_delay=timedelta(seconds=1),
        )
