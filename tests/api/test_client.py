# SPDX-License-Identifier: Apache-2.0
"""What users of both clients see: states, progress, metadata, refused arguments."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.errors import AlchemyAddressError
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshState, RefreshStatus
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import USUAL, Connect
from .shells import ADDRESS, LOWER, Client

pytestmark = pytest.mark.integration

BAD_ADDRESSES = [None, "", LOWER[:-1], ADDRESS.replace("E", "e", 1), "{{ params.address }}"]


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        ({"running_seconds": 60}, RefreshState.IN_PROGRESS),
        ({"queued_seconds": 60}, RefreshState.QUEUED),
        ({"running_seconds": 0}, RefreshState.FINISHED),
        ({"outcome": "does_not_exist"}, RefreshState.DOES_NOT_EXIST),
        ({"outcome": "queue_failed"}, RefreshState.QUEUE_FAILED),
        ({"running_seconds": 60, "running_state": "warming_up"}, RefreshState.UNKNOWN),
    ],
    ids=lambda value: value.value if isinstance(value, RefreshState) else "",
)
def test_each_state_of_the_service_arrives(
    client: Client, emulator: AlchemyEmulator, plan: dict[str, Any], state: RefreshState
) -> None:
    emulator.set_job(ADDRESS, **plan)
    assert client.reingest_contract(ADDRESS).state is state


@pytest.mark.parametrize("spelling", ["already_queued", "already_queried"])
def test_both_spellings_of_a_repeated_call_are_one_state(
    client: Client, emulator: AlchemyEmulator, spelling: str
) -> None:
    emulator.configure(repeated_state=spelling)
    emulator.set_job(ADDRESS, queued_seconds=60)
    client.reingest_contract(ADDRESS)
    status = client.reingest_contract(ADDRESS)
    assert (status.state, status.reported_state) == (RefreshState.ALREADY_QUEUED, spelling)


@pytest.mark.parametrize(
    ("form", "progress"), [("null", None), ("int", 100), ("text", 100), ("percent", 100), ("empty", None)]
)
def test_each_form_of_progress_arrives(
    client: Client, emulator: AlchemyEmulator, form: str, progress: int | None
) -> None:
    emulator.configure(progress_form=form)
    emulator.set_job(ADDRESS, running_seconds=0)
    assert client.reingest_contract(ADDRESS).progress == progress


def test_a_status_names_contract_and_network(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)
    assert client.reingest_contract(ADDRESS) == RefreshStatus(
        contract_address=LOWER,
        network="eth-mainnet",
        state=RefreshState.FINISHED,
        progress=100,
        reported_state="finished",
    )


def test_one_call_submits_and_another_joins_the_same_refresh(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=60)
    client.reingest_contract(ADDRESS)
    begun = emulator.finished_at(ADDRESS)
    client.reingest_contract(LOWER)
    assert emulator.finished_at(ADDRESS) == begun


def test_contract_metadata_arrives_without_a_refresh(client: Client, emulator: AlchemyEmulator) -> None:
    assert client.get_contract_metadata(ADDRESS) == ContractMetadata(
        contract_address=LOWER,
        network="eth-mainnet",
        name="Emulated Collection",
        symbol="EMU",
        total_supply=10000,
        token_type="ERC721",
    )
    assert emulator.finished_at(ADDRESS) is None


def test_contract_metadata_of_wrong_types_is_read_as_far_as_it_goes(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("wrong_types")
    read = client.get_contract_metadata(ADDRESS)
    assert (read.name, read.total_supply, read.symbol) == (None, None, "EMU")


@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=repr)
@pytest.mark.parametrize("method", ["reingest_contract", "get_contract_metadata"])
def test_nothing_is_sent_for_a_bad_address(
    client: Client, emulator: AlchemyEmulator, method: str, address: Any
) -> None:
    usage = Usage()
    with pytest.raises(AlchemyAddressError):
        getattr(client, method)(address, usage=usage)
    assert (usage.calls, emulator.connections) == (0, 0)


def test_nothing_is_sent_when_a_client_is_made(connect: Connect, emulator: AlchemyEmulator) -> None:
    connect()
    assert emulator.connections == 0


def test_a_client_is_a_context_manager(emulator: AlchemyEmulator) -> None:
    with AlchemyClient(ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)) as client:
        assert client.reingest_contract(ADDRESS).contract_address == LOWER


async def test_a_client_for_event_loops_is_a_context_manager(emulator: AlchemyEmulator) -> None:
    settings = ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)
    async with AsyncAlchemyClient(settings) as client:
        assert (await client.reingest_contract(ADDRESS)).contract_address == LOWER
