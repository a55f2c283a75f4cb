import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, task
from airflow.sdk import AssetWatcher

from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

trigger = MetadataUpdateTrigger([COLLECTION], events=("metadata", "mint"), poll_interval=60)
ANNOUNCED = Asset("announced_on_chain", watchers=[AssetWatcher(name="reveals_and_mints", trigger=trigger)])

with DAG("react", schedule=[ANNOUNCED], start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):

    @task
    def announced(triggering_asset_events=None):
        for event in triggering_asset_events[ANNOUNCED]:
            payload = event.extra["payload"]
            print(payload["contract_address"], payload["events"], payload["first_id"], payload["last_id"])

    announced()
