import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

with DAG("refresh_after_reveal", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
    refresh = RefreshCollectionOperator(
        task_id="refresh", contract_address=COLLECTION, max_compute_units=500_000, deferrable=True, retries=2
    )
    prove = MetadataFreshSensor(
        task_id="prove", contract_address=COLLECTION, fresh_since="{{ dag_run.start_date }}", deferrable=True
    )
    refresh >> prove
