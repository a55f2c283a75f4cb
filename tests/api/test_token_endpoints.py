# SPDX-License-Identifier: Apache-2.0
"""What each endpoint of single tokens sends, what it costs, and what its errors name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_alchemy.api import endpoints as token_endpoints
from airflow_provider_alchemy.api.endpoints import Call, Request, build_request
from airflow_provider_alchemy.api.models import Token
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import KEY, LOWER

OTHER = "0x" + "1" * 40
SETTINGS = ClientSettings(api_key=KEY, network="base-mainnet", source="connection 'mine'")
TOKEN = Token(LOWER, 7)
BASE = "https://base-mainnet.g.alchemy.com/nft/v3"

NAMED_TOKEN = {"contractAddress": LOWER, "tokenId": "7"}

Build = Callable[..., Call[Any]]

CALLS: dict[str, Build] = {
    "refreshNftMetadata": lambda settings: token_endpoints.refresh_nft_metadata(TOKEN, settings),
    "getNFTMetadata": lambda settings, **more: token_endpoints.get_nft_metadata(TOKEN, settings, **more),
    "getNFTMetadataBatch": lambda settings, **more: token_endpoints.get_nft_metadata_batch(
        LOWER, (7, 8), settings, **more
    ),
    "getNFTsForContract": lambda settings, **more: token_endpoints.get_nfts_for_contract(LOWER, settings, **more),
    "getContractMetadataBatch": lambda settings: token_endpoints.get_contract_metadata_batch((LOWER, OTHER), settings),
}
EACH = pytest.mark.parametrize("name", CALLS)


def request(name: str, settings: ClientSettings = SETTINGS, **more: Any) -> Request:
    return build_request(CALLS[name](settings, **more), settings)


def body(name: str, **more: Any) -> Any:
    return json.loads(request(name, **more).body or b"null")


class TestARequest:
    @EACH
    def test_it_is_of_version_3_with_the_key_in_its_path(self, name: str) -> None:
        assert request(name).url == f"{BASE}/{KEY}/{name}"

    @EACH
    @pytest.mark.parametrize("version", ["v2", "v3"])
    def test_the_version_of_reingest_contract_does_not_matter(self, name: str, version: str) -> None:
        settings = ClientSettings(api_key=KEY, api_version=version)

        assert f"/nft/v3/{KEY}/" in request(name, settings).url

    @EACH
    def test_the_key_goes_into_the_header_where_the_settings_say_so(self, name: str) -> None:
        settings = ClientSettings(api_key=KEY, network="base-mainnet", auth="header")
        sent = request(name, settings)

        assert (sent.url, sent.headers["Authorization"]) == (f"{BASE}/{name}", f"Bearer {KEY}")

    @EACH
    @pytest.mark.parametrize("auth", ["path", "header"])
    def test_it_does_not_show_the_key(self, name: str, auth: Any) -> None:
        assert KEY not in repr(request(name, ClientSettings(api_key=KEY, auth=auth)))

    @EACH
    def test_the_key_is_in_neither_query_nor_body(self, name: str) -> None:
        sent = request(name)

        assert KEY not in f"{sent.params}{sent.body!r}"

    @pytest.mark.parametrize(
        ("name", "method"),
        [
            ("refreshNftMetadata", "POST"),
            ("getNFTMetadata", "GET"),
            ("getNFTMetadataBatch", "POST"),
            ("getNFTsForContract", "GET"),
            ("getContractMetadataBatch", "POST"),
        ],
    )
    def test_its_method_is_the_documented_one(self, name: str, method: str) -> None:
        assert request(name).method == method

    @pytest.mark.parametrize("name", ["refreshNftMetadata", "getNFTMetadataBatch", "getContractMetadataBatch"])
    def test_a_post_says_that_it_holds_json_and_has_no_query(self, name: str) -> None:
        sent = request(name)

        assert (sent.headers["Content-Type"], sent.params) == ("application/json", {})

    @pytest.mark.parametrize("name", ["getNFTMetadata", "getNFTsForContract"])
    def test_a_get_has_no_body(self, name: str) -> None:
        sent = request(name)

        assert (sent.body, "Content-Type" in sent.headers) == (None, False)

    def test_a_refresh_names_its_token(self) -> None:
        assert body("refreshNftMetadata") == NAMED_TOKEN

    def test_a_read_names_its_token(self) -> None:
        assert request("getNFTMetadata").params == NAMED_TOKEN

    def test_a_read_names_what_was_asked_for_beside_the_token(self) -> None:
        params = request("getNFTMetadata", refresh=True, uri_timeout_ms=0).params

        assert params == NAMED_TOKEN | {"refreshCache": "true", "tokenUriTimeoutInMs": "0"}

    def test_a_batch_names_its_tokens_in_their_order(self) -> None:
        assert body("getNFTMetadataBatch") == {"tokens": [NAMED_TOKEN, NAMED_TOKEN | {"tokenId": "8"}]}

    def test_a_batch_names_what_was_asked_for_beside_the_tokens(self) -> None:
        sent = body("getNFTMetadataBatch", refresh=True, uri_timeout_ms=0)

        assert (sent["refreshCache"], sent["tokenUriTimeoutInMs"]) == (True, 0)

    def test_a_listing_asks_for_ids_alone_and_for_full_pages(self) -> None:
        params = request("getNFTsForContract").params

        assert params == {"contractAddress": LOWER, "withMetadata": "false", "limit": "100"}

    def test_a_listing_names_what_was_asked_for(self) -> None:
        params = request("getNFTsForContract", start_token="0x10", with_metadata=True, limit=5).params

        assert params == {"contractAddress": LOWER, "startToken": "0x10", "withMetadata": "true", "limit": "5"}

    def test_a_batch_of_contracts_names_them(self) -> None:
        assert body("getContractMetadataBatch") == {"contractAddresses": [LOWER, OTHER]}


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("refreshNftMetadata", (40, 10)),
        ("getNFTMetadata", (80, 10)),
        ("getNFTMetadataBatch", (480, 100)),
        ("getNFTsForContract", (600, 50)),
        ("getContractMetadataBatch", (480, 100)),
    ],
)
def test_a_price_is_that_of_the_page_on_compute_units(name: str, price: tuple[int, int]) -> None:
    endpoint = CALLS[name](SETTINGS).endpoint

    assert (endpoint.compute_units, endpoint.throughput_units) == price


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("refreshNftMetadata", f"token 7 of collection {LOWER} on base-mainnet (connection 'mine')"),
        ("getNFTMetadata", f"token 7 of collection {LOWER} on base-mainnet (connection 'mine')"),
        ("getNFTMetadataBatch", f"collection {LOWER} on base-mainnet (connection 'mine')"),
        ("getNFTsForContract", f"collection {LOWER} on base-mainnet (connection 'mine')"),
        ("getContractMetadataBatch", "2 contracts on base-mainnet (connection 'mine')"),
    ],
)
def test_a_call_names_for_errors_what_it_is_about(name: str, subject: str) -> None:
    assert CALLS[name](SETTINGS).subject == subject
