from airflow_provider_alchemy.sensors.reingest import ReingestSensor

wait = ReingestSensor(
    task_id="wait_without_a_worker",
    contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    start_from_trigger=True,
    end_from_trigger=True,
)
