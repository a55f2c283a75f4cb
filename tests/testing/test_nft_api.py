# SPDX-License-Identifier: Apache-2.0
"""The endpoints of the NFT API as a client sees them: jobs, tokens, contracts, pages, and what is refused."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pytest
import requests

from tests.waiting import eventually

from .conftest import ADDRESS, OTHER, SECONDS, Call, Emulator, batch, token

SAMPLE_TIME = "2026-01-01T00:00:00.000Z"


def seconds(nft: dict[str, Any]) -> float:
    return datetime.fromisoformat(nft["timeLastUpdated"]).timestamp()


def refusal(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


def test_a_job_is_seen_in_each_of_its_states(emulator: Emulator, ask: Call) -> None:
    emulator.set_job(ADDRESS, queued_seconds=3600)
    queued = {"contractAddress": ADDRESS.lower(), "reingestionState": "queued", "progress": None}
    assert ask().json() == queued
    assert ask(version="v3").json() == {**queued, "reingestionState": "already_queued"}
    seen = []
    for running_seconds in (3600, 0):
        emulator.set_job(ADDRESS, running_seconds=running_seconds)
        seen.append(ask().json())
    assert [one["reingestionState"] for one in seen] == ["in_progress", "finished"]
    assert [one["progress"] for one in seen] == ["0", "100"]
    emulator.set_default_job(queued_seconds=10, running_seconds=30)
    emulator.configure(speed=1000, progress_form="percent")
    eventually(lambda: ask(address=OTHER).json()["progress"] == "100%")
    assert emulator.finished_at(OTHER) == pytest.approx(emulator.calls[4].at + 0.04)


def test_the_refresh_of_a_collection_is_for_ethereum_unless_allowed(emulator: Emulator, ask: Call) -> None:
    status, sentence = refusal(ask(network="polygon-mainnet"))
    assert (status, sentence[:46]) == (400, "This endpoint isn't enabled for that chain or ")
    emulator.configure(reingest_on_every_network=True)
    assert ask(network="polygon-mainnet").status_code == 200
    assert emulator.finished_at(ADDRESS, "polygon-mainnet") is not None
    assert emulator.finished_at(ADDRESS) is None

    for status, message in ((404, "Not found"), (410, "Gone"), (400, "Unsupported method")):
        emulator.configure(reingest_gone=status)
        assert refusal(ask(address=OTHER)) == (status, message)
    assert emulator.finished_at(OTHER) is None


ADDRESSES = ("", "0x12", "E9FCa552b9eb110c2d170962aF740725F71F5644", "0x" + "g" * 40)
QUERIES: list[Any] = [
    *(("getNFTsForContract", {name: value}) for name in ("startToken", "limit") for value in ("x", "-1", "9" * 5000)),
    *(("getNFTsForContract", one) for one in ({"limit": 0}, {"withMetadata": "1"})),
    *(("getNFTMetadata", one) for one in ({}, {"tokenId": ""}, {"tokenId": 1, "refreshCache": "1"})),
    ("getNFTMetadata", {"tokenId": 1, "tokenUriTimeoutInMs": "soon"}),
]
NO_TOKENS: list[Any] = [[], "1", [1], [[]], [{"tokenId": 1}]]
BODIES: list[Any] = [
    *({"tokens": named} for named in NO_TOKENS),
    *(batch(1, "x"), batch(1, address="0x1"), batch(1, refreshCache="true")),
    *(batch(1, tokenUriTimeoutInMs=-1), batch(1, tokenUriTimeoutInMs="0")),
    *({"contractAddresses": named} for named in ([], [ADDRESS, "0x1"], [ADDRESS] * 101, ADDRESS)),
    *({}, [], 5, {"contractAddress": 5}),
]


@pytest.mark.parametrize(
    ("endpoint", "options"),
    [
        *((name, {"address": one}) for name in ("reingestContract", "getContractMetadata") for one in ADDRESSES),
        *(("getNFTsForContract", {"address": one}) for one in ADDRESSES),
        *QUERIES,
        *((name, {"body": one}) for name in ("getNFTMetadataBatch", "getContractMetadataBatch") for one in BODIES),
        *(("refreshNftMetadata", {"body": one}) for one in (*BODIES, token("x"), token(1, "0x1"))),
    ],
)
def test_a_call_that_is_not_well_formed_is_an_invalid_argument(ask: Call, endpoint: str, options: Any) -> None:
    refused = ask(endpoint, **options)
    assert (refused.status_code, refused.json()) == (400, {"error": {"message": "Invalid arg"}})


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_an_invalid_argument(emulator: Emulator, body: bytes) -> None:
    for endpoint in ("refreshNftMetadata", "getNFTMetadataBatch", "getContractMetadataBatch"):
        url = f"{emulator.url}/nft/v3/{emulator.api_key}/{endpoint}"
        assert refusal(requests.post(url, data=body, timeout=SECONDS)) == (400, "Invalid arg")


def test_another_method_is_unsupported(ask: Call) -> None:
    for endpoint in ("reingestContract", "getNFTMetadata", "getNFTsForContract", "getContractMetadata"):
        assert refusal(ask(endpoint, body=token())) == (400, "Unsupported method")
    for endpoint in ("refreshNftMetadata", "getNFTMetadataBatch", "getContractMetadataBatch"):
        assert refusal(ask(endpoint)) == (400, "Unsupported method")


def test_a_batch_answers_for_its_tokens_in_their_order(ask: Call) -> None:
    tokens = [*batch("0x10", 3)["tokens"], *batch(99_999, address=OTHER)["tokens"]]
    nfts = ask("getNFTMetadataBatch", body={"tokens": tokens}).json()["nfts"]
    assert [nft["tokenId"] for nft in nfts] == ["16", "3", "99999"]
    assert [nft["contract"]["address"] for nft in nfts] == [ADDRESS.lower()] * 2 + [OTHER]
    assert [nft["raw"]["error"] for nft in nfts] == [None, None, "Token does not exist"]
    assert {nft["timeLastUpdated"] for nft in nfts} == {SAMPLE_TIME}
    assert len(ask("getNFTMetadataBatch", body=batch(*range(100))).json()["nfts"]) == 100
    sentence = "Sorry, this endpoint only supports up to 100 tokens per request."
    assert refusal(ask("getNFTMetadataBatch", body=batch(*range(101)))) == (400, sentence)


def test_batches_can_be_bare_arrays(emulator: Emulator, ask: Call) -> None:
    emulator.set_collection(OTHER, tokens=7)
    contracts = {"contractAddresses": [ADDRESS, OTHER]}
    nfts = ask("getNFTMetadataBatch", body=batch(1, 2)).json()["nfts"]
    found = ask("getContractMetadataBatch", body=contracts).json()["contracts"]
    assert [one["totalSupply"] for one in found] == ["10000", "7"]
    assert found[0] == ask("getContractMetadata").json()
    emulator.configure(batch_form="array")
    assert ask("getNFTMetadataBatch", body=batch(1, 2)).json() == nfts
    assert ask("getContractMetadataBatch", body=contracts).json() == found


def test_a_call_with_refresh_cache_shows_the_refresh_in_its_own_answer(emulator: Emulator, ask: Call) -> None:
    refreshed, same = (
        ask("getNFTMetadataBatch", body=batch(1, refreshCache=flag)).json()["nfts"][0] for flag in (True, False)
    )
    assert seconds(refreshed) >= emulator.calls[0].at
    assert seconds(refreshed) == seconds(same) == emulator.time_last_updated(ADDRESS, "0x1")
    assert ask("getNFTMetadata", tokenId=2).json()["timeLastUpdated"] == SAMPLE_TIME
    one = ask("getNFTMetadata", tokenId=2, refreshCache="true").json()
    assert (one["tokenId"], one["contract"]["address"]) == ("2", ADDRESS.lower())
    assert seconds(one) >= emulator.calls[3].at


def test_a_queued_refresh_moves_the_time_later(emulator: Emulator, ask: Call) -> None:
    emulator.set_collection(ADDRESS, queue_seconds=0.05)
    assert ask("refreshNftMetadata", body=token()).json() == {"status": "Queued", "estimatedMsToRefresh": 50}
    asked_at = emulator.calls[0].at
    eventually(lambda: emulator.time_last_updated(ADDRESS, 1) > asked_at)
    assert emulator.time_last_updated(ADDRESS, 1) == pytest.approx(asked_at + 0.05, abs=0.002)
    emulator.configure(estimate_form="text", speed=10)
    assert ask("refreshNftMetadata", body=token(2)).json()["estimatedMsToRefresh"] == "5"


def test_a_repeated_refresh_is_accepted_without_effect_or_refused(emulator: Emulator, ask: Call) -> None:
    emulator.set_collection(ADDRESS, queue_seconds=0)
    first = ask("refreshNftMetadata", body=token())
    refreshed_at = emulator.time_last_updated(ADDRESS, 1)
    assert ask("refreshNftMetadata", body=token()).json() == first.json()
    emulator.configure(repeated_refresh="refused")
    status, sentence = refusal(ask("refreshNftMetadata", body=token()))
    assert (status, sentence[:46]) == (400, "This token was refreshed in the last 15 minute")
    assert emulator.time_last_updated(ADDRESS, 1) == refreshed_at
    assert ask("refreshNftMetadata", body=token(), network="base-mainnet").ok
    elsewhere = refusal(ask("refreshNftMetadata", body=token(), network="zora-mainnet"))[1]
    assert elsewhere.startswith("This endpoint isn't enabled for that chain")


def test_tokens_can_be_stale_or_have_an_error_until_a_new_plan_or_a_reset(emulator: Emulator, ask: Call) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    emulator.set_tokens(ADDRESS, ["0x1"], stale=True)
    emulator.set_tokens(ADDRESS, [2], error="Throttled token uri", error_answers=1)
    answers = [ask("getNFTMetadataBatch", body=batch(1, 2, refreshCache=True)).json()["nfts"] for _ in range(2)]
    assert [[nft["raw"]["error"] for nft in nfts] for nfts in answers] == [[None, "Throttled token uri"], [None, None]]
    assert [answers[1][index]["timeLastUpdated"] == SAMPLE_TIME for index in (0, 1)] == [True, False]
    emulator.set_tokens(ADDRESS, [1])
    sample = emulator.time_last_updated(ADDRESS, 1)
    times = []
    for forget in (partial(emulator.set_collection, ADDRESS), emulator.reset):
        ask("getNFTMetadataBatch", body=batch(1, refreshCache=True))
        times.append(emulator.time_last_updated(ADDRESS, 1) > sample)
        forget()
        times.append(emulator.time_last_updated(ADDRESS, 1) > sample)
    assert times == [True, False, True, False]


def pages(ask: Call, start_name: str = "startToken", **query: object) -> list[list[int]]:
    """Read a listing to its end, and give the ids of each page."""
    read: list[list[int]] = []
    start: dict[str, object] = {}
    while True:
        page = ask("getNFTsForContract", **query, **start).json()
        read.append([int(nft["tokenId"]) for nft in page["nfts"]])
        if page.get("pageKey") is None:
            return read
        start = {start_name: page["pageKey"]}


@pytest.mark.parametrize("start_name", ["startToken", "pageKey"])
@pytest.mark.parametrize("form", ["hex", "decimal"])
def test_a_listing_is_read_page_by_page(emulator: Emulator, ask: Call, start_name: str, form: str) -> None:
    emulator.configure(page_key_form=form)
    emulator.set_collection(ADDRESS, tokens=250, first_id=2**200)
    read = pages(ask, start_name, withMetadata="false")
    assert [len(ids) for ids in read] == [100, 100, 50]
    assert sum(read, []) == list(range(2**200, 2**200 + 250))  # noqa: RUF017 - three pages


def test_a_page_has_whole_nfts_or_ids_and_is_as_small_as_asked_for(emulator: Emulator, ask: Call) -> None:
    emulator.set_collection(ADDRESS, token_ids=[4, 9])
    whole, bare = (ask("getNFTsForContract", withMetadata=flag).json() for flag in ("true", "false"))
    assert whole.keys() == bare.keys() == {"nfts"}
    assert whole["nfts"][1] == ask("getNFTMetadata", tokenId=9).json()
    assert bare["nfts"][1] == {"contractAddress": ADDRESS.lower(), "tokenId": "9"}
    emulator.set_collection(ADDRESS)
    assert len(ask("getNFTsForContract", limit=1000).json()["nfts"]) == 100
    emulator.configure(page_size=2)
    emulator.set_collection(ADDRESS, tokens=5)
    assert pages(ask, limit=3) == [[0, 1], [2, 3], [4]]
    assert pages(ask, limit=1) == [[0], [1], [2], [3], [4]]
    assert ask("getNFTsForContract", startToken=10_000).json() == {"nfts": []}


def test_the_key_of_a_page_comes_in_several_forms(emulator: Emulator, ask: Call) -> None:
    def key(**query: object) -> object:
        return ask("getNFTsForContract", **query).json().get("pageKey", "none")

    emulator.set_collection(ADDRESS, tokens=20)
    assert (key(limit=10), key()) == ("0x" + "a".rjust(64, "0"), "none")
    emulator.configure(page_key_form="decimal", last_page_key="null")
    assert (key(limit=10), key()) == ("10", None)
    emulator.configure(repeat_page_key=True)
    assert key(startToken=3) == "3"


def test_a_collection_may_grow_while_it_is_read(emulator: Emulator, ask: Call) -> None:
    emulator.set_collection(ADDRESS, tokens=3)
    first = ask("getNFTsForContract", limit=2).json()
    emulator.grow_collection(ADDRESS, 1)
    emulator.mint(ADDRESS, [4])
    rest = ask("getNFTsForContract", startToken=first["pageKey"]).json()
    assert [nft["tokenId"] for nft in rest["nfts"]] == ["2", "3", "4"]
    assert ask("getContractMetadata").json()["totalSupply"] == "5"


def test_the_metadata_of_a_contract_is_that_of_its_collection(emulator: Emulator, ask: Call) -> None:
    named = {"name", "symbol", "contractDeployer", "deployedBlockNumber", "openSeaMetadata", "isSpam"}
    assert named | {"spamClassifications"} <= ask("getContractMetadata").json().keys()
    emulator.set_collection(ADDRESS, tokens=7, token_type="ERC1155", total_supply=None)
    fields = ask("getContractMetadata").json()
    assert (fields["tokenType"], fields["totalSupply"], fields["name"]) == ("ERC1155", None, "Emulated Collection")
    emulator.set_collection(ADDRESS, token_type="NOT_A_CONTRACT")
    emulator.mint(ADDRESS, [1])
    assert ask("getNFTsForContract").json() == {"nfts": []}
    assert ask("getNFTMetadata", tokenId=1).json()["raw"]["error"] == "Contract does not have any code"
    assert emulator.finished_at(ADDRESS) is None
    assert ask("getContractMetadata", network="base-mainnet").json()["totalSupply"] == "10000"
