# SPDX-License-Identifier: Apache-2.0
"""Faults of the endpoints whose answers hold many NFTs or contracts."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import ADDRESS, Send, batch

CALLS: dict[str, tuple[object, dict[str, object]]] = {
    "refreshNftMetadata": ({"contractAddress": ADDRESS, "tokenId": 1}, {}),
    "getNFTMetadata": (None, {"contractAddress": ADDRESS, "tokenId": 1, "refreshCache": "true"}),
    "getNFTMetadataBatch": (batch(1, 2, refreshCache=True), {}),
    "getNFTsForContract": (None, {"contractAddress": ADDRESS, "limit": 2}),
    "getContractMetadata": (None, {"contractAddress": ADDRESS}),
    "getContractMetadataBatch": ({"contractAddresses": [ADDRESS]}, {}),
}


def answered(send: Send, endpoint: str) -> Any:
    body, query = CALLS[endpoint]
    return send(endpoint, body, **query).json()


def items(payload: Any) -> list[dict[str, Any]]:
    """Give the NFTs or contracts of any answer."""
    if isinstance(payload, list):
        return payload
    found = payload.get("nfts", payload.get("contracts", [payload]))
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("form", ["object", "array"])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("endpoint", CALLS)
def test_every_nft_or_contract_of_an_answer_can_have_the_wrong_types(
    emulator: AlchemyEmulator, send: Send, endpoint: str, *, after: bool, form: str
) -> None:
    emulator.configure(batch_form=form)
    right = items(answered(send, endpoint))
    emulator.add_fault("wrong_types", after_processing=after)
    wrong = items(answered(send, endpoint))
    assert len(wrong) == len(right)
    field = {"refreshNftMetadata": "status", "getContractMetadata": "name", "getContractMetadataBatch": "name"}
    assert {item[field.get(endpoint, "timeLastUpdated")] for item in wrong} == {5}


def test_what_stands_beside_the_nfts_can_have_the_wrong_type_too(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.add_fault("wrong_types", fields={"pageKey": 7, "name": 8})
    listing = answered(send, "getNFTsForContract")
    assert (listing["pageKey"], [nft["name"] for nft in listing["nfts"]]) == (7, [8, 8])
    emulator.clear_faults()
    emulator.add_fault("wrong_types", fields={"nfts": "none"})
    assert answered(send, "getNFTMetadataBatch") == {"nfts": "none"}


@pytest.mark.parametrize("form", ["object", "array"])
@pytest.mark.parametrize("endpoint", [name for name in CALLS if name != "refreshNftMetadata"])
def test_every_nft_or_contract_of_an_answer_can_be_of_another_contract(
    emulator: AlchemyEmulator, send: Send, endpoint: str, form: str
) -> None:
    emulator.configure(batch_form=form)
    emulator.add_fault("other_contract")
    found = items(answered(send, endpoint))
    assert found
    assert {item.get("contract", item)["address"] for item in found} == {"0x00000000000000000000000000000000decafbad"}


def test_ids_without_metadata_can_be_of_another_contract(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.add_fault("other_contract")
    (nft,) = send("getNFTsForContract", contractAddress=ADDRESS, withMetadata="false", limit=1).json()["nfts"]
    assert nft["contractAddress"] != ADDRESS.lower()


@pytest.mark.parametrize(
    ("kind", "endpoint"), [("other_contract", "refreshNftMetadata"), ("unknown_state", "getNFTMetadata")]
)
def test_a_fault_that_could_never_happen_is_refused(emulator: AlchemyEmulator, kind: str, endpoint: str) -> None:
    with pytest.raises(ValueError, match=f"kind cannot be {kind} for {endpoint}"):
        emulator.add_fault(kind, endpoint=endpoint)


@pytest.mark.parametrize("form", ["object", "array"])
@pytest.mark.parametrize("endpoint", CALLS)
def test_every_answer_can_be_large_and_is_still_right(
    emulator: AlchemyEmulator, send: Send, endpoint: str, form: str
) -> None:
    emulator.configure(batch_form=form)
    emulator.add_fault("large", size=20_000)
    body, query = CALLS[endpoint]
    large = send(endpoint, body, **query)
    assert len(large.content) == 20_000
    assert large.json()


def test_a_large_answer_to_a_call_that_is_not_well_formed_is_padding_alone(
    emulator: AlchemyEmulator, send: Send
) -> None:
    emulator.configure(batch_form="array")
    emulator.add_fault("large", size=100)
    assert send("getNFTMetadataBatch", {}).json().keys() == {"padding"}


def test_an_answer_can_end_in_the_middle_of_an_nft(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.add_fault("cut_json", after_processing=True)
    cut = send("getNFTMetadataBatch", batch(1, 2))
    assert cut.text.startswith('{"nfts": [{"contract"')
    with pytest.raises(requests.JSONDecodeError):
        cut.json()


@pytest.mark.parametrize("endpoint", ["refreshNftMetadata", "getNFTMetadata", "getNFTMetadataBatch"])
def test_a_fault_before_processing_refreshes_nothing(emulator: AlchemyEmulator, send: Send, endpoint: str) -> None:
    emulator.set_collection(ADDRESS, queue_seconds=0)
    sample = emulator.time_last_updated(ADDRESS, 1)
    emulator.add_fault("wrong_types", times=1)
    answered(send, endpoint)
    assert emulator.time_last_updated(ADDRESS, 1) == sample
    emulator.add_fault("wrong_types", after_processing=True, times=1)
    answered(send, endpoint)
    assert emulator.time_last_updated(ADDRESS, 1) > sample


def test_a_fault_for_one_contract_hits_the_bodies_that_name_it_first(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.add_fault("http", contract_address=ADDRESS)
    assert send("getNFTMetadataBatch", batch(1)).status_code == 500
    assert send("getNFTMetadataBatch", batch(1, address="0x" + "1" * 40)).status_code == 200
