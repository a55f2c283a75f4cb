from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.retry_policy import alchemy_retry_policy

refresh = ReingestContractOperator(
    task_id="refresh",
    contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644",
    wait_for_completion=True,
    deferrable=True,
    retries=5,
    retry_policy=alchemy_retry_policy(),
)
