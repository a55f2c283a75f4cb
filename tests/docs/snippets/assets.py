import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
PUNKS = collection(ADDRESS)  # alchemy://eth-mainnet/0xe9fca552b9eb110c2d170962af740725f71f5644
START = pendulum.datetime(2026, 1, 1, tz="UTC")

with DAG("refresh_punks", schedule=None, start_date=START):
    RefreshCollectionOperator(task_id="refresh", contract_address=ADDRESS, max_failed=0.01, outlets=[PUNKS])

with DAG("publish_punks", schedule=[PUNKS], start_date=START):

    @task
    def publish(**context):
        for event in context["triggering_asset_events"].get(PUNKS, []):
            if event.extra["failed_in_part"]:
                print(f"{event.extra['failed']} tokens are not fresh: {event.extra['failures']}")

    publish()
