from datetime import timedelta

from airflow_provider_alchemy.operators.reingest import ReingestContractsOperator

refresh_all = ReingestContractsOperator(
    task_id="refresh_all",
    contract_addresses=[
        "0xE9FCa552b9eb110c2d170962aF740725F71F5644",
        "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D",
    ],
    max_failed=0.01,
    timeout=timedelta(hours=8),
    retries=2,
)
