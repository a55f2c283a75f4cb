from datetime import timedelta

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor

minted = NewTokensSensor(
    task_id="minted",
    contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    since="{{ dag_run.start_date }}",
    min_tokens=10,
    deferrable=True,
    timeout=timedelta(hours=12).total_seconds(),
)

refresh_minted = RefreshCollectionOperator(
    task_id="refresh_minted",
    contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    token_ids=minted.output["token_ids"],
    retries=2,
)
