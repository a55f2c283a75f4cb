from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator

refresh_tokens = RefreshCollectionOperator(
    task_id="refresh_tokens",
    contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    max_failed=0.01,
    max_compute_units=500_000,
    deferrable=True,
    retries=2,
)
