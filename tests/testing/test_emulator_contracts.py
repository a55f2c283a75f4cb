# SPDX-License-Identifier: Apache-2.0
"""The endpoints about whole contracts, as a client sees them: metadata and the pages of a listing."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import ADDRESS, Send

OTHER = "0x" + "1" * 40


def pages(send: Send, start_name: str = "startToken", **query: object) -> list[list[int]]:
    """Read a listing to its end, and give the ids of each page."""
    read: list[list[int]] = []
    start: dict[str, object] = {}
    while True:
        page = send("getNFTsForContract", contractAddress=ADDRESS, **query, **start).json()
        read.append([int(nft["tokenId"]) for nft in page["nfts"]])
        if page.get("pageKey") is None:
            return read
        start = {start_name: page["pageKey"]}


@pytest.mark.parametrize("start_name", ["startToken", "pageKey"])
@pytest.mark.parametrize("form", ["hex", "decimal"])
def test_a_listing_is_read_page_by_page(emulator: AlchemyEmulator, send: Send, start_name: str, form: str) -> None:
    emulator.configure(page_key_form=form)
    emulator.set_collection(ADDRESS, tokens=250, first_id=2**200)
    read = pages(send, start_name, withMetadata="false")
    assert [len(ids) for ids in read] == [100, 100, 50]
    assert sum(read, []) == list(range(2**200, 2**200 + 250))  # noqa: RUF017 -- three pages


def test_a_page_has_whole_nfts_or_their_ids_alone(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, token_ids=[4, 9])
    whole = send("getNFTsForContract", contractAddress=ADDRESS).json()
    bare = send("getNFTsForContract", contractAddress=ADDRESS, withMetadata="false").json()
    assert whole.keys() == bare.keys() == {"nfts"}
    assert whole["nfts"][1] == send("getNFTMetadata", contractAddress=ADDRESS, tokenId=9).json()
    assert bare["nfts"][1] == {"contractAddress": ADDRESS.lower(), "tokenId": "9"}


def test_the_key_of_a_page_is_the_next_token_in_one_of_two_forms(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, tokens=20)
    query: dict[str, Any] = {"contractAddress": ADDRESS, "limit": 10}
    assert send("getNFTsForContract", **query).json()["pageKey"] == "0x" + "a".rjust(64, "0")
    emulator.configure(page_key_form="decimal")
    assert send("getNFTsForContract", **query).json()["pageKey"] == "10"


def test_the_last_page_has_no_key_or_a_null(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, tokens=100)
    assert "pageKey" not in send("getNFTsForContract", contractAddress=ADDRESS).json()
    emulator.configure(last_page_key="null")
    last = send("getNFTsForContract", contractAddress=ADDRESS).json()
    assert last["pageKey"] is None
    assert len(last["nfts"]) == 100


def test_a_page_can_be_smaller_than_asked_for(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.configure(page_size=2)
    emulator.set_collection(ADDRESS, tokens=5)
    assert pages(send, limit=3) == [[0, 1], [2, 3], [4]]
    assert pages(send, limit=1) == [[0], [1], [2], [3], [4]]


def test_a_listing_can_go_on_for_ever(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.configure(repeat_page_key=True, page_key_form="decimal")
    emulator.set_collection(ADDRESS, tokens=5)
    page = send("getNFTsForContract", contractAddress=ADDRESS, startToken=3).json()
    assert (page["pageKey"], len(page["nfts"])) == ("3", 2)


def test_a_collection_may_grow_while_it_is_read(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, tokens=3)
    first = send("getNFTsForContract", contractAddress=ADDRESS, limit=2).json()
    emulator.grow_collection(ADDRESS, 2)
    rest = send("getNFTsForContract", contractAddress=ADDRESS, startToken=first["pageKey"]).json()
    assert [nft["tokenId"] for nft in rest["nfts"]] == ["2", "3", "4"]
    assert send("getContractMetadata", contractAddress=ADDRESS).json()["totalSupply"] == "5"


def test_a_listing_beyond_the_end_is_empty(send: Send) -> None:
    assert send("getNFTsForContract", contractAddress=ADDRESS, startToken=10_000).json() == {"nfts": []}


@pytest.mark.parametrize("wrong", [{"contractAddress": "0x1"}, {"startToken": "x"}, {"limit": 0}])
def test_a_listing_that_is_not_well_formed_is_an_invalid_argument(send: Send, wrong: dict[str, object]) -> None:
    refused = send("getNFTsForContract", **{"contractAddress": ADDRESS, **wrong})
    assert (refused.status_code, refused.json()) == (400, {"error": {"message": "Invalid arg"}})


def test_the_metadata_of_a_contract_is_that_of_its_collection(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, tokens=7, token_type="ERC1155", total_supply=None)
    fields = send("getContractMetadata", contractAddress=ADDRESS).json()
    assert (fields["tokenType"], fields["totalSupply"], fields["name"]) == ("ERC1155", None, "Emulated Collection")


def test_what_is_no_nft_lists_nothing_and_says_so(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, token_type="NOT_A_CONTRACT")
    fields = send("getContractMetadata", contractAddress=ADDRESS).json()
    assert (fields["tokenType"], fields["totalSupply"]) == ("NOT_A_CONTRACT", None)
    assert send("getNFTsForContract", contractAddress=ADDRESS).json() == {"nfts": []}
    nft = send("getNFTMetadata", contractAddress=ADDRESS, tokenId=1).json()
    assert nft["raw"]["error"] == "Contract does not have any code"


def test_the_metadata_of_several_contracts_comes_in_both_forms(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(OTHER, tokens=7)
    body = {"contractAddresses": [ADDRESS, OTHER]}
    contracts = send("getContractMetadataBatch", body).json()["contracts"]
    assert [contract["totalSupply"] for contract in contracts] == ["10000", "7"]
    assert contracts[0] == send("getContractMetadata", contractAddress=ADDRESS).json()
    emulator.configure(batch_form="array")
    assert send("getContractMetadataBatch", body).json() == contracts


def test_a_collection_is_of_one_network(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, "base-mainnet", tokens=7)
    assert send("getContractMetadata", contractAddress=ADDRESS, network="base-mainnet").json()["totalSupply"] == "7"
    assert send("getContractMetadata", contractAddress=ADDRESS).json()["totalSupply"] == "10000"
