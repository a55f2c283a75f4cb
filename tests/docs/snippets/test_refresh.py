"""What my refresh does when all is well, and when it is not."""

from types import SimpleNamespace

import pytest

from airflow_provider_alchemy.api.errors import AlchemyNoSuchCollectionError
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"


def execute(operator):
    return operator.execute({"ti": SimpleNamespace(map_index=-1, max_tries=0, try_number=1)})


@pytest.fixture
def refresh(alchemy_emulator):
    alchemy_emulator.configure(units_per_second=None)
    return ReingestContractOperator(
        task_id="refresh", contract_address=COLLECTION, wait_for_completion=True, poll_interval=0.2
    )


def test_the_refresh_is_waited_for(alchemy_emulator, refresh):
    alchemy_emulator.set_job(COLLECTION, queued_seconds=0.3, running_seconds=0.5)
    result = execute(refresh)
    assert result["state"] == "finished"
    assert result["compute_units"] == alchemy_emulator.compute_units


def test_a_contract_that_is_no_collection_fails(alchemy_emulator, refresh):
    alchemy_emulator.set_job(COLLECTION, outcome="does_not_exist")
    with pytest.raises(AlchemyNoSuchCollectionError):
        execute(refresh)
    assert alchemy_emulator.count("reingestContract") == 1


def test_a_server_error_is_waited_out(alchemy_emulator, refresh):
    alchemy_emulator.add_fault("http", status=503, times=1)
    assert execute(refresh)["state"] == "finished"
