# SPDX-License-Identifier: Apache-2.0
"""What each endpoint sends, what it costs, and how its answers are read."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.endpoints import (
    GET_CONTRACT_METADATA,
    REINGEST_CONTRACT,
    Request,
    build_request,
    read_contract_metadata,
    read_refresh_status,
)
from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import ADDRESS, KEY, LOWER

OTHER = "0x" + "1" * 40


def reingest(**settings: Any) -> Request:
    chosen = ClientSettings(**{"api_key": KEY} | settings)
    return build_request(endpoints.reingest_contract(LOWER, chosen), chosen)


def metadata(**settings: Any) -> Request:
    chosen = ClientSettings(**{"api_key": KEY} | settings)
    return build_request(endpoints.get_contract_metadata(LOWER, chosen), chosen)


def status_of(**answer: Any) -> RefreshStatus:
    return read_refresh_status({"contractAddress": LOWER} | answer, LOWER, "eth-mainnet")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, f"https://eth-mainnet.g.alchemy.com/nft/v2/{KEY}/reingestContract"),
        ({"api_version": "v3"}, f"https://eth-mainnet.g.alchemy.com/nft/v3/{KEY}/reingestContract"),
        ({"auth": "header"}, "https://eth-mainnet.g.alchemy.com/nft/v2/reingestContract"),
        (
            {"auth": "header", "api_version": "v3", "network": "base-mainnet"},
            "https://base-mainnet.g.alchemy.com/nft/v3/reingestContract",
        ),
        (
            {"host": "https://proxy.example.com/{network}/", "network": "shape-mainnet"},
            f"https://proxy.example.com/shape-mainnet/nft/v2/{KEY}/reingestContract",
        ),
        ({"host": "https://proxy.example.com"}, f"https://proxy.example.com/nft/v2/{KEY}/reingestContract"),
        ({"api_key": "a/b+c="}, "https://eth-mainnet.g.alchemy.com/nft/v2/a%2Fb%2Bc%3D/reingestContract"),
    ],
    ids=["as documented", "v3", "header", "header on another network", "network in host", "host", "key is quoted"],
)
def test_reingest_contract_asks_the_url_that_the_settings_describe(settings: dict[str, Any], url: str) -> None:
    assert reingest(**settings).url == url


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_get_contract_metadata_is_always_version_3(version: str) -> None:
    url = f"https://eth-mainnet.g.alchemy.com/nft/v3/{KEY}/getContractMetadata"
    assert metadata(api_version=version).url == url


@pytest.mark.parametrize("build", [reingest, metadata])
def test_the_address_goes_into_the_query(build: Any) -> None:
    request = build()
    assert (request.method, request.params) == ("GET", {"contractAddress": LOWER})


@pytest.mark.parametrize("build", [reingest, metadata])
def test_the_key_goes_into_the_header_only_where_the_settings_say_so(build: Any) -> None:
    assert build(auth="header").headers["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in build(auth="path").headers


@pytest.mark.parametrize("auth", ["path", "header"])
def test_a_request_does_not_show_the_key(auth: str) -> None:
    assert KEY not in repr(reingest(auth=auth))


def test_the_prices_are_those_of_the_page_on_compute_units() -> None:
    prices = {
        endpoint.name: (endpoint.compute_units, endpoint.throughput_units)
        for endpoint in (REINGEST_CONTRACT, GET_CONTRACT_METADATA)
    }
    assert prices == {"reingestContract": (480, 480), "getContractMetadata": (160, 10)}


def test_a_call_names_collection_network_and_connection() -> None:
    settings = ClientSettings(api_key=KEY, network="base-mainnet", source="connection 'mine'")
    subject = f"collection {LOWER} on base-mainnet (connection 'mine')"
    assert endpoints.reingest_contract(LOWER, settings).subject == subject
    assert endpoints.get_contract_metadata(LOWER, settings).subject == subject


def test_the_documented_sample_is_read() -> None:
    answer = {
        "contractAddress": "0xe9fca552b9eb110c2d170962af740725f71f5644",
        "reingestionState": "in_progress",
        "progress": None,
    }
    assert read_refresh_status(answer, LOWER, "eth-mainnet") == RefreshStatus(
        contract_address=LOWER,
        network="eth-mainnet",
        state=RefreshState.IN_PROGRESS,
        progress=None,
        reported_state="in_progress",
    )


@pytest.mark.parametrize("progress", [None, 0, 5, "5", "5%", ""], ids=repr)
def test_each_form_of_progress_leaves_the_state_alone(progress: Any) -> None:
    status = status_of(reingestionState="in_progress", progress=progress)
    assert (status.state, status.progress) == (
        RefreshState.IN_PROGRESS,
        {None: None, 0: 0, "": None}.get(progress, 5),
    )


def test_an_answer_without_progress_is_read() -> None:
    assert status_of(reingestionState="queued").progress is None


@pytest.mark.parametrize("told", [ADDRESS, LOWER, "0x" + LOWER[2:].upper(), None])
def test_an_answer_may_write_the_address_in_any_case_or_leave_it_out(told: str | None) -> None:
    assert status_of(contractAddress=told, reingestionState="finished").is_finished


@pytest.mark.parametrize("state", ["finished", "in_progress", "does_not_exist"])
def test_an_answer_about_another_contract_is_an_error(state: str) -> None:
    with pytest.raises(AlchemyUnexpectedAnswerError, match=f"another contract, '{OTHER}'"):
        status_of(contractAddress=OTHER, reingestionState=state)


def test_an_unknown_state_keeps_its_text_and_is_pending() -> None:
    status = status_of(reingestionState="warming_up")
    assert (status.state, status.reported_state, status.is_pending) == (RefreshState.UNKNOWN, "warming_up", True)


def test_a_very_long_state_is_cut() -> None:
    assert status_of(reingestionState="x" * 10_000).reported_state == "x" * 200


@pytest.mark.parametrize("state", [None, "", 5, True, ["finished"], {"finished": True}], ids=repr)
def test_a_state_that_is_no_text_is_an_error_that_shows_the_answer(state: Any) -> None:
    with pytest.raises(AlchemyUnexpectedAnswerError, match=r"no reingestionState: .*contractAddress"):
        status_of(reingestionState=state)


@pytest.mark.parametrize("answer", [None, 5, "finished", ["finished"], True, {"contractAddress": 5}], ids=repr)
@pytest.mark.parametrize("read", [read_refresh_status, read_contract_metadata])
def test_an_answer_of_another_shape_is_an_error_that_shows_it(read: Any, answer: Any) -> None:
    shape = {"address": 5, **answer} if isinstance(answer, dict) else answer
    with pytest.raises(AlchemyUnexpectedAnswerError, match="not what the API reference shows"):
        read(shape, LOWER, "eth-mainnet")


def test_an_error_shows_the_first_200_characters_of_an_answer() -> None:
    with pytest.raises(AlchemyUnexpectedAnswerError) as caught:
        read_refresh_status(["x" * 10_000], LOWER, "eth-mainnet")
    assert caught.value.what.endswith("['" + "x" * 198)


def test_contract_metadata_is_read() -> None:
    answer = {"address": LOWER, "name": "Moonbirds", "symbol": "MB", "totalSupply": "10000", "tokenType": "ERC721"}
    read = read_contract_metadata(answer, LOWER, "eth-mainnet")
    assert (read.contract_address, read.network) == (LOWER, "eth-mainnet")
    assert (read.name, read.symbol, read.total_supply, read.token_type) == ("Moonbirds", "MB", 10000, "ERC721")


@pytest.mark.parametrize("field", ["name", "symbol", "totalSupply", "tokenType"])
@pytest.mark.parametrize("value", [None, "", [], {}, True], ids=repr)
def test_contract_metadata_that_is_missing_or_strange_is_none(field: str, value: Any) -> None:
    read = read_contract_metadata({"address": LOWER, field: value}, LOWER, "eth-mainnet")
    assert (read.name, read.symbol, read.total_supply, read.token_type) == (None, None, None, None)


@pytest.mark.parametrize(
    ("told", "supply"),
    [("0", 0), (10000, 10000), ("-1", None), ("1e3", None), ("٣", None), (str(2**256 - 1), 2**256 - 1)],
    ids=["zero", "an int", "negative", "a float", "other digits", "the largest"],
)
def test_the_total_supply_is_a_whole_number_or_none(told: Any, supply: int | None) -> None:
    assert read_contract_metadata({"totalSupply": told}, LOWER, "eth-mainnet").total_supply == supply


def test_a_total_supply_of_five_thousand_digits_is_no_crash() -> None:
    assert read_contract_metadata({"totalSupply": "9" * 5000}, LOWER, "eth-mainnet").total_supply is None
