from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator

AZUKI = "0xed5af388653567af2f388e6224dc7c4b3241c544"

RefreshCollectionOperator(task_id="refresh", contract_address=AZUKI, outlets=[collection(AZUKI)])
