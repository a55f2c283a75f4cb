# SPDX-License-Identifier: Apache-2.0
"""The endpoints about single tokens, as a client sees them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import partial
from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.waiting import eventually

from .conftest import ADDRESS, Send, batch

OTHER = "0x" + "1" * 40
SAMPLE_TIME = "2026-01-01T00:00:00.000Z"


def one(number: object = "1") -> dict[str, object]:
    return {"contractAddress": ADDRESS, "tokenId": number}


def seconds(nft: dict[str, Any]) -> float:
    return datetime.fromisoformat(nft["timeLastUpdated"]).timestamp()


def test_a_batch_answers_for_its_tokens_in_their_order(send: Send) -> None:
    tokens = [*batch("0x10", 3)["tokens"], *batch(99_999, address=OTHER)["tokens"]]
    nfts = send("getNFTMetadataBatch", {"tokens": tokens}).json()["nfts"]
    assert [nft["tokenId"] for nft in nfts] == ["16", "3", "99999"]
    assert [nft["contract"]["address"] for nft in nfts] == [ADDRESS.lower()] * 2 + [OTHER]
    assert [nft["raw"]["error"] for nft in nfts] == [None, None, "Token does not exist"]
    assert {nft["timeLastUpdated"] for nft in nfts} == {SAMPLE_TIME}


def test_a_batch_with_refresh_cache_is_refreshed_in_its_own_answer(emulator: AlchemyEmulator, send: Send) -> None:
    refreshed, same = (
        send("getNFTMetadataBatch", batch(1, refreshCache=flag)).json()["nfts"][0] for flag in (True, False)
    )
    assert seconds(refreshed) >= emulator.calls[0].at
    assert seconds(refreshed) == seconds(same) == emulator.time_last_updated(ADDRESS, "0x1")
    assert emulator.time_last_updated(ADDRESS, 2) == datetime.fromisoformat(SAMPLE_TIME).timestamp()


def test_a_batch_can_be_a_bare_array(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.configure(batch_form="array")
    assert [nft["tokenId"] for nft in send("getNFTMetadataBatch", batch(1, 2)).json()] == ["1", "2"]


def test_more_than_a_hundred_tokens_are_refused_with_their_own_sentence(send: Send) -> None:
    refused = send("getNFTMetadataBatch", batch(*range(101)))
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == ("Sorry, this endpoint only supports up to 100 tokens per request.")


@pytest.mark.parametrize("endpoint", ["refreshNftMetadata", "getNFTMetadataBatch", "getContractMetadataBatch"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"contractAddress": 5}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_well_formed_is_an_invalid_argument(
    emulator: AlchemyEmulator, endpoint: str, body: bytes
) -> None:
    url = f"{emulator.url}/nft/v3/{emulator.api_key}/{endpoint}"
    refused = requests.post(url, data=body, timeout=5)
    assert (refused.status_code, refused.json()) == (400, {"error": {"message": "Invalid arg"}})


def test_one_nft_is_read_and_refreshed_with_get(emulator: AlchemyEmulator, send: Send) -> None:
    assert send("getNFTMetadata", **one()).json()["timeLastUpdated"] == SAMPLE_TIME
    refreshed = send("getNFTMetadata", **one(), refreshCache="true").json()
    assert (refreshed["tokenId"], refreshed["contract"]["address"]) == ("1", ADDRESS.lower())
    assert seconds(refreshed) >= emulator.calls[1].at
    assert send("getNFTMetadata", contractAddress=ADDRESS).json()["error"]["message"] == "Invalid arg"


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("refreshNftMetadata", None),
        ("getNFTMetadataBatch", None),
        ("getNFTMetadata", one()),
        ("getNFTsForContract", {}),
    ],
)
def test_the_wrong_method_is_unsupported(send: Send, endpoint: str, body: object) -> None:
    refused = send(endpoint, body)
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Unsupported method")


def test_a_queued_refresh_moves_the_time_later(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, queue_seconds=0.05)
    assert send("refreshNftMetadata", one()).json() == {"status": "Queued", "estimatedMsToRefresh": 50}
    asked_at = emulator.calls[0].at
    eventually(lambda: emulator.time_last_updated(ADDRESS, 1) > asked_at)
    assert emulator.time_last_updated(ADDRESS, 1) == pytest.approx(asked_at + 0.05, abs=0.002)


def test_the_estimate_can_be_a_text_and_follows_the_speed(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.configure(estimate_form="text", speed=10)
    emulator.set_collection(ADDRESS, queue_seconds=10)
    assert send("refreshNftMetadata", one()).json()["estimatedMsToRefresh"] == "1000"


def test_a_repeated_refresh_is_accepted_without_effect_or_refused(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, queue_seconds=0)
    first = send("refreshNftMetadata", one())
    refreshed_at = emulator.time_last_updated(ADDRESS, 1)
    assert send("refreshNftMetadata", one()).json() == first.json()
    emulator.configure(repeated_refresh="refused")
    refused = send("refreshNftMetadata", one())
    assert refused.status_code == 400
    assert "was refreshed in the last 15 minutes" in refused.json()["error"]["message"]
    assert emulator.time_last_updated(ADDRESS, 1) == refreshed_at
    emulator.configure(refresh_rule_seconds=0)
    assert send("refreshNftMetadata", one()).ok
    assert emulator.time_last_updated(ADDRESS, 1) > refreshed_at


def test_a_refresh_is_queued_on_the_documented_networks_only(emulator: AlchemyEmulator, send: Send) -> None:
    assert send("refreshNftMetadata", one(), network="base-mainnet").ok
    refused = send("refreshNftMetadata", one(), network="zora-mainnet")
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith("This endpoint isn't enabled for that chain")
    emulator.configure(refresh_on_every_network=True)
    assert send("refreshNftMetadata", one(), network="zora-mainnet").ok


def test_single_tokens_can_be_stale_or_have_an_error(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    emulator.set_tokens(ADDRESS, ["0x1"], stale=True)
    emulator.set_tokens(ADDRESS, [2], error="Throttled token uri", error_answers=1)
    answers = [send("getNFTMetadataBatch", batch(1, 2, refreshCache=True)).json()["nfts"] for _ in range(2)]
    assert [[nft["raw"]["error"] for nft in nfts] for nfts in answers] == [[None, "Throttled token uri"], [None, None]]
    assert [answers[1][index]["timeLastUpdated"] == SAMPLE_TIME for index in (0, 1)] == [True, False]


def test_a_new_plan_or_a_reset_forgets_what_was_refreshed(emulator: AlchemyEmulator, send: Send) -> None:
    sample = emulator.time_last_updated(ADDRESS, 1)
    times = []
    for forget in (partial(emulator.set_collection, ADDRESS), emulator.reset):
        send("getNFTMetadataBatch", batch(1, refreshCache=True))
        times.append(emulator.time_last_updated(ADDRESS, 1) > sample)
        forget()
        times.append(emulator.time_last_updated(ADDRESS, 1) > sample)
    assert times == [True, False, True, False]


def test_every_endpoint_has_its_price(emulator: AlchemyEmulator, send: Send) -> None:
    send("refreshNftMetadata", one())
    send("getNFTMetadata", **one())
    send("getNFTMetadataBatch", batch(1))
    send("getNFTsForContract", contractAddress=ADDRESS)
    send("getContractMetadata", contractAddress=ADDRESS)
    send("getContractMetadataBatch", {"contractAddresses": [ADDRESS]})
    assert [call.compute_units for call in emulator.calls] == [40, 80, 480, 600, 160, 480]
    assert {call.contract_address for call in emulator.calls} == {ADDRESS}
    assert emulator._state.window.used(0) == 10 + 10 + 100 + 50 + 10 + 100


def test_a_call_is_recorded_with_its_tokens_and_whether_it_refreshes(emulator: AlchemyEmulator, send: Send) -> None:
    send("refreshNftMetadata", one("0x5"))
    send("getNFTMetadataBatch", batch(1, 5))
    send("getNFTMetadataBatch", batch(5, refreshCache=True, address=OTHER))
    send("getNFTMetadataBatch", batch("x"))
    send("getContractMetadata", **one())
    recorded = [(call.token_ids, call.refreshes) for call in emulator.calls]
    assert recorded == [((5,), True), ((1, 5), False), ((5,), True), ((), False), ((), False)]
    assert emulator.asked_tokens() == Counter({5: 3, 1: 1})
    assert emulator.asked_tokens("refreshNftMetadata") == {5: 1}
    assert emulator.asked_tokens("getNFTMetadataBatch", ADDRESS.lower()) == {1: 1, 5: 1}


def test_a_call_without_a_right_key_is_recorded_without_tokens(emulator: AlchemyEmulator) -> None:
    url = f"{emulator.url}/nft/v3/wrong/getNFTMetadataBatch"
    assert requests.post(url, json=batch(1, refreshCache=True), timeout=5).status_code == 401
    assert emulator.calls[0].token_ids == ()
    assert emulator.asked_tokens() == {}
