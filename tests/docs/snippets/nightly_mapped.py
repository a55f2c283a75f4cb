from datetime import timedelta

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator

refresh = ReingestContractOperator.partial(
    task_id="refresh",
    wait_for_completion=True,
    deferrable=True,
    end_from_trigger=True,
    poll_interval=120,
    timeout=timedelta(hours=5),
    retries=2,
).expand(
    contract_address=[
        "0xE9FCa552b9eb110c2d170962aF740725F71F5644",
        "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D",
    ]
)
