from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor

prove = MetadataFreshSensor(
    task_id="prove",
    contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    fresh_since="{{ dag_run.start_date }}",
    min_fresh=0.95,
    deferrable=True,
)
