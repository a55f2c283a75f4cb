# SPDX-License-Identifier: Apache-2.0
"""What each endpoint sends, costs and refuses, how its answers are read, and what its errors advise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_alchemy.api import endpoints, errors
from airflow_provider_alchemy.api.endpoints import (
    REFRESHING_NETWORKS,
    Call,
    PageKeys,
    Request,
    build_request,
    is_gone,
    is_not_offered,
    line_instead,
    price_of_listing,
    price_of_poll,
)
from airflow_provider_alchemy.api.errors import (
    AlchemyAddressError,
    AlchemyArgumentError,
    AlchemyError,
    AlchemyTokenIdError,
    AlchemyUnexpectedAnswerError,
    error_from_dict,
)
from airflow_provider_alchemy.api.models import (
    MetadataError,
    RefreshState,
    RefreshStatus,
    Token,
    TokenMetadata,
    TokenPage,
    TokenRefresh,
)
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import ADDRESS, KEY, LOWER

OTHER = "0x" + "1" * 40
SETTINGS = ClientSettings(api_key=KEY, network="base-mainnet", source="connection 'mine'")
TOKEN = Token(LOWER, 7)
NAMED_TOKEN = {"contractAddress": LOWER, "tokenId": "7"}
OF_TOKEN = f"token 7 of collection {LOWER} on base-mainnet (connection 'mine')"
OF_COLLECTION = f"collection {LOWER} on base-mainnet (connection 'mine')"


@dataclass(frozen=True)
class Row:
    """What the API reference and the page on compute units say of an endpoint, and what is sent without options."""

    build: Callable[..., Call[Any]]
    path: str
    price: tuple[int, int]
    subject: str
    query: dict[str, str] | None = None
    body: Any = None


ROWS = {
    "reingestContract": Row(
        lambda settings: endpoints.reingest_contract(ADDRESS, settings),
        "/nft/v2/{key}/reingestContract",
        (480, 480),
        OF_COLLECTION,
        query={"contractAddress": LOWER},
    ),
    "getContractMetadata": Row(
        lambda settings: endpoints.get_contract_metadata(ADDRESS, settings),
        "/nft/v3/{key}/getContractMetadata",
        (160, 10),
        OF_COLLECTION,
        query={"contractAddress": LOWER},
    ),
    "getContractMetadataBatch": Row(
        lambda settings: endpoints.get_contract_metadata_batch((ADDRESS, OTHER), settings),
        "/nft/v3/{key}/getContractMetadataBatch",
        (480, 100),
        "2 contracts on base-mainnet (connection 'mine')",
        body={"contractAddresses": [LOWER, OTHER]},
    ),
    "refreshNftMetadata": Row(
        lambda settings: endpoints.refresh_nft_metadata(ADDRESS, "0x7", settings),
        "/nft/v3/{key}/refreshNftMetadata",
        (40, 10),
        OF_TOKEN,
        body=NAMED_TOKEN,
    ),
    "getNFTMetadata": Row(
        lambda settings, **more: endpoints.get_nft_metadata(ADDRESS, 7, settings, **more),
        "/nft/v3/{key}/getNFTMetadata",
        (80, 10),
        OF_TOKEN,
        query=NAMED_TOKEN,
    ),
    "getNFTMetadataBatch": Row(
        lambda settings, **more: endpoints.get_nft_metadata_batch(ADDRESS, (7, "8", "0x7"), settings, **more),
        "/nft/v3/{key}/getNFTMetadataBatch",
        (480, 100),
        OF_COLLECTION,
        body={"tokens": [NAMED_TOKEN, NAMED_TOKEN | {"tokenId": "8"}]},
    ),
    "getNFTsForContract": Row(
        lambda settings, **more: endpoints.get_nfts_for_contract(ADDRESS, settings, **more),
        "/nft/v3/{key}/getNFTsForContract",
        (600, 50),
        OF_COLLECTION,
        query={"contractAddress": LOWER, "withMetadata": "false", "limit": "100"},
    ),
    "eth_blockNumber": Row(
        endpoints.block_number,
        "/v2/{key}",
        (10, 10),
        "the chain of base-mainnet (connection 'mine')",
        body={"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []},
    ),
}
EACH = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())


def request(name: str, settings: ClientSettings = SETTINGS, **more: Any) -> Request:
    return build_request(ROWS[name].build(settings, **more), settings)


def query(sent: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(sent.url).query))


def read(answer: Any, name: str = "getNFTMetadata", **more: Any) -> Any:
    return ROWS[name].build(SETTINGS, **more).read(answer)


class TestARequest:
    @EACH
    def test_it_is_what_the_api_reference_shows(self, row: Row) -> None:
        sent = build_request(row.build(SETTINGS), SETTINGS)
        parts = urlsplit(sent.url)

        assert f"{parts.scheme}://{parts.netloc}" == "https://base-mainnet.g.alchemy.com"
        assert (parts.path, query(sent)) == (row.path.format(key=KEY), row.query or {})
        assert sent.method == ("GET" if row.body is None else "POST")
        assert json.loads(sent.body or b"null") == row.body
        assert sent.headers.get("Content-Type") == (None if row.body is None else "application/json")

    @EACH
    def test_the_key_goes_into_the_header_where_the_settings_say_so(self, row: Row) -> None:
        settings = ClientSettings(api_key=KEY, auth="header")
        sent = build_request(row.build(settings), settings)

        assert (KEY in f"{sent.url}{sent.body!r}", sent.headers["Authorization"]) == (False, f"Bearer {KEY}")

    @EACH
    @pytest.mark.parametrize("auth", ["path", "header"])
    def test_it_does_not_show_the_key(self, row: Row, auth: Any) -> None:
        settings = ClientSettings(api_key=KEY, auth=auth)

        assert KEY not in repr(build_request(row.build(settings), settings))

    @EACH
    def test_its_price_is_that_of_the_page_on_compute_units(self, row: Row) -> None:
        endpoint = row.build(SETTINGS).endpoint

        assert (endpoint.compute_units, endpoint.throughput_units) == row.price

    @EACH
    def test_it_names_for_errors_what_it_is_about(self, row: Row) -> None:
        assert row.build(SETTINGS).subject == row.subject

    @pytest.mark.parametrize("name", [name for name in ROWS if name != "reingestContract"])
    def test_the_version_of_reingest_contract_changes_no_other(self, name: str) -> None:
        assert urlsplit(request(name, ClientSettings(api_key=KEY, api_version="v3")).url).path == ROWS[
            name
        ].path.format(key=KEY)

    @pytest.mark.parametrize(
        ("settings", "url"),
        [
            ({"api_version": "v3"}, f"https://eth-mainnet.g.alchemy.com/nft/v3/{KEY}/reingestContract"),
            (
                {"auth": "header", "api_version": "v3", "network": "base-mainnet"},
                "https://base-mainnet.g.alchemy.com/nft/v3/reingestContract",
            ),
            (
                {"host": "https://proxy.example.com/{network}/", "network": "shape-mainnet"},
                f"https://proxy.example.com/shape-mainnet/nft/v2/{KEY}/reingestContract",
            ),
            ({"api_key": "a/b+c="}, "https://eth-mainnet.g.alchemy.com/nft/v2/a%2Fb%2Bc%3D/reingestContract"),
        ],
        ids=["v3", "header on another network", "network in host", "key is quoted"],
    )
    def test_it_goes_to_the_url_that_the_settings_describe(self, settings: dict[str, Any], url: str) -> None:
        chosen = ClientSettings(**{"api_key": KEY} | settings)

        assert request("reingestContract", chosen).url == f"{url}?contractAddress={LOWER}"

    def test_a_read_names_what_was_asked_for_beside_the_token(self) -> None:
        sent = request("getNFTMetadata", refresh=True, uri_timeout_ms=0)

        assert query(sent) == NAMED_TOKEN | {"refreshCache": "true", "tokenUriTimeoutInMs": "0"}

    def test_a_batch_names_what_was_asked_for_beside_the_tokens(self) -> None:
        sent = json.loads(request("getNFTMetadataBatch", refresh=True, uri_timeout_ms=0).body or b"")

        assert (sent["refreshCache"], sent["tokenUriTimeoutInMs"]) == (True, 0)

    @pytest.mark.parametrize(("start", "sent"), [("0x10", "0x10"), (16, "16"), ("opaque==", "opaque==")])
    def test_a_listing_names_what_was_asked_for(self, start: Any, sent: str) -> None:
        params = query(request("getNFTsForContract", start_token=start, with_metadata=True, page_size=5))

        assert params == {"contractAddress": LOWER, "startToken": sent, "withMetadata": "true", "limit": "5"}


@pytest.mark.parametrize(("tokens", "units", "poll"), [(0, 600, 0), (100, 600, 480), (101, 1200, 960)])
def test_prices_of_many_tokens_are_those_of_the_calls(tokens: int, units: int, poll: int) -> None:
    assert (price_of_listing(tokens), price_of_poll(tokens)) == (units, poll)


BAD_ADDRESSES = [None, "", LOWER[:-1], ADDRESS.replace("E", "e", 1), "{{ params.address }}"]
BAD_IDS = [-1, "-1", "", "seven", "0x", 2**256, str(2**256), 10**5000, None, True, 1.5, [7]]
OF_ONE_CONTRACT: dict[str, Callable[[Any], Call[Any]]] = {
    "reingestContract": lambda address: endpoints.reingest_contract(address, SETTINGS),
    "getContractMetadata": lambda address: endpoints.get_contract_metadata(address, SETTINGS),
    "refreshNftMetadata": lambda address: endpoints.refresh_nft_metadata(address, 7, SETTINGS),
    "getNFTMetadata": lambda address: endpoints.get_nft_metadata(address, 7, SETTINGS),
    "getNFTMetadataBatch": lambda address: endpoints.get_nft_metadata_batch(address, [7], SETTINGS),
    "getNFTsForContract": lambda address: endpoints.get_nfts_for_contract(address, SETTINGS),
}
OF_ONE_TOKEN: dict[str, Callable[[Any], Call[Any]]] = {
    "refreshNftMetadata": lambda token_id: endpoints.refresh_nft_metadata(LOWER, token_id, SETTINGS),
    "getNFTMetadata": lambda token_id: endpoints.get_nft_metadata(LOWER, token_id, SETTINGS),
}


def batch(token_ids: Any) -> Call[Any]:
    return endpoints.get_nft_metadata_batch(LOWER, token_ids, SETTINGS)


def contracts(addresses: Any) -> Call[Any]:
    return endpoints.get_contract_metadata_batch(addresses, SETTINGS)


class TestAWrongArgument:
    @pytest.mark.parametrize("address", BAD_ADDRESSES, ids=repr)
    @pytest.mark.parametrize("build", OF_ONE_CONTRACT.values(), ids=OF_ONE_CONTRACT.keys())
    def test_a_bad_address_is_refused(self, build: Callable[[Any], Call[Any]], address: Any) -> None:
        with pytest.raises(AlchemyAddressError, match="argument 'contract_address' "):
            build(address)

    @pytest.mark.parametrize("token_id", BAD_IDS, ids=lambda value: str(type(value).__name__))
    @pytest.mark.parametrize("build", OF_ONE_TOKEN.values(), ids=OF_ONE_TOKEN.keys())
    def test_a_bad_token_id_is_refused(self, build: Callable[[Any], Call[Any]], token_id: Any) -> None:
        with pytest.raises(AlchemyTokenIdError, match="argument 'token_id' is "):
            build(token_id)

    @pytest.mark.parametrize(
        ("build", "error", "text"),
        [
            (lambda: batch([7, 8, "x", 9]), AlchemyTokenIdError, r"token_ids\[2\] \(number 3 of 4\) is "),
            (lambda: contracts([LOWER, "x"]), AlchemyAddressError, r"contract_addresses\[1\] \(number 2 of 2\) "),
            (lambda: batch(range(101)), AlchemyArgumentError, "'token_ids' stands for 101 tokens; one call takes 1 to"),
            (
                lambda: contracts([f"0x{number:040x}" for number in range(101)]),
                AlchemyArgumentError,
                "'contract_addresses' stands for 101 contracts; one call takes 1 to 100",
            ),
            (lambda: batch([]), AlchemyArgumentError, "stands for 0 tokens"),
            (lambda: contracts([]), AlchemyArgumentError, "names no contract"),
            (lambda: batch({"tokens": [7]}), AlchemyArgumentError, "argument 'token_ids' is "),
        ],
        ids=range(7),
    )
    def test_a_bad_list_is_refused(self, build: Callable[[], Any], error: type[AlchemyError], text: str) -> None:
        with pytest.raises(error, match=text):
            build()

    def test_a_hundred_tokens_may_be_named_twice(self) -> None:
        assert len(batch([*range(100), *map(str, range(100))]).body["tokens"]) == 100

    def test_a_text_of_a_token_id_is_one_token_and_not_its_digits(self) -> None:
        assert [token["tokenId"] for token in batch("123").body["tokens"]] == ["123"]

    @pytest.mark.parametrize("size", [0, 101, -1, 10**5000], ids=["0", "101", "-1", "huge"])
    def test_a_page_size_out_of_range_is_refused(self, size: int) -> None:
        with pytest.raises(AlchemyArgumentError, match="tokens; one call takes 1 to 100"):
            endpoints.get_nfts_for_contract(LOWER, SETTINGS, page_size=size)

    @pytest.mark.parametrize("size", [None, "10", 1.5, True, [10]], ids=repr)
    def test_a_page_size_that_is_no_whole_number_is_refused(self, size: Any) -> None:
        with pytest.raises(AlchemyArgumentError, match=r"'page_size' is .*; expected a whole number from 1 to 100"):
            endpoints.get_nfts_for_contract(LOWER, SETTINGS, page_size=size)

    @pytest.mark.parametrize("start", [-1, 2**256, 1.5, True, [7], "", " \n"], ids=repr)
    def test_a_start_that_is_neither_token_id_nor_key_is_refused(self, start: Any) -> None:
        with pytest.raises(AlchemyTokenIdError, match="argument 'start_token' is "):
            endpoints.get_nfts_for_contract(LOWER, SETTINGS, start_token=start)

    @pytest.mark.parametrize(
        "build",
        [
            lambda: endpoints.reingest_contract(KEY, SETTINGS),
            lambda: endpoints.refresh_nft_metadata(LOWER, KEY, settings=SETTINGS),
            lambda: batch([7, KEY]),
            lambda: batch({KEY: 7}),
            lambda: contracts([LOWER, KEY]),
            lambda: endpoints.get_nfts_for_contract(LOWER, SETTINGS, page_size=KEY),  # type: ignore[arg-type]
        ],
        ids=range(6),
    )
    def test_a_key_in_its_place_is_not_shown(self, build: Callable[[], Any]) -> None:
        with pytest.raises(AlchemyArgumentError) as caught:
            build()

        assert KEY not in f"{caught.value!r} {caught.value} {caught.value.to_dict()}"


def status_of(**answer: Any) -> RefreshStatus:
    return read({"contractAddress": LOWER} | answer, "reingestContract")  # type: ignore[no-any-return]


class TestAStatus:
    def test_the_documented_sample_is_read(self) -> None:
        answer = {
            "contractAddress": "0xe9fca552b9eb110c2d170962af740725f71f5644",
            "reingestionState": "in_progress",
            "progress": None,
        }
        assert read(answer, "reingestContract") == RefreshStatus(
            contract_address=LOWER,
            network="base-mainnet",
            state=RefreshState.IN_PROGRESS,
            progress=None,
            reported_state="in_progress",
        )

    @pytest.mark.parametrize("progress", [None, 0, 5, "5", "5%", ""], ids=repr)
    def test_each_form_of_progress_leaves_the_state_alone(self, progress: Any) -> None:
        status = status_of(reingestionState="in_progress", progress=progress)
        expected = {None: None, 0: 0, "": None}.get(progress, 5)
        assert (status.state, status.progress) == (RefreshState.IN_PROGRESS, expected)

    def test_one_without_progress_is_read(self) -> None:
        assert status_of(reingestionState="queued").progress is None

    @pytest.mark.parametrize("address", [ADDRESS, LOWER, "0x" + LOWER[2:].upper(), None])
    def test_it_may_write_the_address_in_any_case_or_leave_it_out(self, address: str | None) -> None:
        assert status_of(contractAddress=address, reingestionState="finished").is_finished

    @pytest.mark.parametrize("state", ["finished", "in_progress", "does_not_exist"])
    def test_one_of_another_contract_is_an_error(self, state: str) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match=f"another contract, '{OTHER}'"):
            status_of(contractAddress=OTHER, reingestionState=state)

    def test_an_unknown_state_keeps_its_text_and_is_pending(self) -> None:
        status = status_of(reingestionState="warming_up")
        assert (status.state, status.reported_state, status.is_pending) == (RefreshState.UNKNOWN, "warming_up", True)

    def test_a_very_long_state_is_cut(self) -> None:
        assert status_of(reingestionState="x" * 10_000).reported_state == "x" * 200

    @pytest.mark.parametrize("state", [None, "", 5, True, ["finished"], {"finished": True}], ids=repr)
    def test_a_state_that_is_no_text_is_an_error_that_shows_the_answer(self, state: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match=r"no reingestionState: .*contractAddress"):
            status_of(reingestionState=state)


class TestContractMetadata:
    def test_it_is_read(self) -> None:
        answer = {"address": LOWER, "name": "Moonbirds", "symbol": "MB", "totalSupply": "10000", "tokenType": "ERC721"}
        found = read(answer, "getContractMetadata")
        assert (found.contract_address, found.network) == (LOWER, "base-mainnet")
        assert (found.name, found.symbol, found.total_supply, found.token_type) == ("Moonbirds", "MB", 10000, "ERC721")

    @pytest.mark.parametrize("field", ["name", "symbol", "totalSupply", "tokenType"])
    @pytest.mark.parametrize("value", [None, "", [], {}, True], ids=repr)
    def test_what_is_missing_or_strange_is_none(self, field: str, value: Any) -> None:
        found = read({"address": LOWER, field: value}, "getContractMetadata")
        assert (found.name, found.symbol, found.total_supply, found.token_type) == (None, None, None, None)

    @pytest.mark.parametrize(
        ("supply", "expected"),
        [
            *(("0", 0), (10000, 10000), ("-1", None), ("1e3", None), ("٣", None), ("9" * 5000, None)),
            (str(2**256 - 1), 2**256 - 1),
        ],
        ids=["zero", "an int", "negative", "a float", "other digits", "too many digits", "the largest"],
    )
    def test_the_total_supply_is_a_whole_number_or_none(self, supply: Any, expected: int | None) -> None:
        assert read({"totalSupply": supply}, "getContractMetadata").total_supply == expected


@pytest.mark.parametrize("answer", [None, 5, "finished", ["finished"], True, {"contractAddress": 5, "address": 5}])
@pytest.mark.parametrize("name", ["reingestContract", "getContractMetadata"])
def test_an_answer_of_another_shape_is_an_error_that_shows_it(name: str, answer: Any) -> None:
    with pytest.raises(AlchemyUnexpectedAnswerError, match="not what the API reference shows"):
        read(answer, name)


def test_an_error_shows_the_first_200_characters_of_an_answer() -> None:
    with pytest.raises(AlchemyUnexpectedAnswerError) as caught:
        read(["x" * 10_000], "reingestContract")
    assert caught.value.what.endswith("['" + "x" * 198)


@pytest.mark.parametrize("answer", [None, 5, [], {}, {"result": "0xg"}, {"result": 5}, {"result": "0x" + "f" * 17}])
def test_a_block_number_that_is_none_is_an_error(answer: Any) -> None:
    with pytest.raises(AlchemyUnexpectedAnswerError):
        read(answer, "eth_blockNumber")


@pytest.mark.parametrize("timestamp", ["0x" + "f" * 16, "0x" + "f" * 15])
def test_a_time_of_a_block_beyond_the_calendar_is_an_error(timestamp: str) -> None:
    with pytest.raises(AlchemyUnexpectedAnswerError, match="no moment"):
        endpoints.get_block_time(5, SETTINGS).read({"result": {"timestamp": timestamp}})


UPDATED = "2026-11-05T12:00:00.000Z"


def nft(number: Any = "7", **fields: Any) -> dict[str, Any]:
    return {
        "contract": {"address": LOWER},
        "tokenId": number,
        "raw": {"error": None},
        "timeLastUpdated": UPDATED,
    } | fields


class TestTheAnswerToARefresh:
    @pytest.mark.parametrize("estimate", [10_000, "10000", 10_000.0], ids=repr)
    def test_each_form_of_the_estimate_is_read(self, estimate: Any) -> None:
        answer = {"status": "Queued", "estimatedMsToRefresh": estimate}

        assert read(answer, "refreshNftMetadata") == TokenRefresh(TOKEN, "Queued", 10.0)

    @pytest.mark.parametrize(
        "estimate", [None, "", "soon", {}, [], -1, "nan", float("inf"), 10**400], ids=lambda value: str(value)[:10]
    )
    def test_a_strange_estimate_is_none(self, estimate: Any) -> None:
        answer = {"status": "Queued", "estimatedMsToRefresh": estimate}

        assert read(answer, "refreshNftMetadata").estimated_seconds is None

    def test_an_unknown_status_is_kept_as_it_came(self) -> None:
        assert read({"status": "Warming up"}, "refreshNftMetadata").status == "Warming up"

    @pytest.mark.parametrize(
        "answer", [{}, [], None, "Queued", {"status": None}, {"status": ""}, {"status": 5}, [{"status": "Queued"}]]
    )
    def test_one_without_a_status_is_an_error_that_shows_it(self, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer has no status: "):
            read(answer, "refreshNftMetadata")


class TestAnNft:
    def test_it_is_read(self) -> None:
        answer = nft(
            name="Dragon",
            description="Breathes",
            tokenType="ERC721",
            tokenUri="ipfs://7",
            image={"cachedUrl": "https://cdn/7.png", "originalUrl": "ipfs://7.png"},
        )

        assert read(answer) == TokenMetadata(
            token=TOKEN,
            time_last_updated=datetime(2026, 11, 5, 12, tzinfo=UTC),
            name="Dragon",
            description="Breathes",
            token_type="ERC721",
            token_uri="ipfs://7",
            image_url="https://cdn/7.png",
        )

    @pytest.mark.parametrize("token_id", ["7", 7, "0x7", "0x0007"], ids=repr)
    def test_its_id_may_have_any_form(self, token_id: Any) -> None:
        assert read(nft(token_id)).token == TOKEN

    @pytest.mark.parametrize("address", [ADDRESS, LOWER, "0x" + LOWER[2:].upper(), None])
    def test_its_contract_may_be_in_any_case_or_left_out(self, address: str | None) -> None:
        assert read(nft(contract={"address": address})).token == TOKEN

    def test_the_error_is_known_by_its_text(self) -> None:
        metadata = read(nft(raw={"error": "Token does not exist"}))

        assert (metadata.error, metadata.error_text) == (MetadataError.NO_SUCH_TOKEN, "Token does not exist")

    def test_an_unknown_error_keeps_its_text(self) -> None:
        metadata = read(nft(raw={"error": "The dragon ate it"}))

        assert (metadata.error, metadata.error_text) == (MetadataError.UNKNOWN, "The dragon ate it")

    def test_a_very_long_error_is_cut(self) -> None:
        assert len(read(nft(raw={"error": "x" * 10_000})).error_text) == 200

    @pytest.mark.parametrize("error", [{"message": "broken"}, ["broken"], 5, True], ids=repr)
    def test_an_error_that_is_no_text_is_one_all_the_same(self, error: Any) -> None:
        metadata = read(nft(raw={"error": error}))

        assert (metadata.error, metadata.error_text) == (MetadataError.UNKNOWN, repr(error))

    def test_an_error_beside_the_metadata_is_one_too(self) -> None:
        assert read([nft(error="Token does not exist")], "getNFTMetadataBatch")[7].error is MetadataError.NO_SUCH_TOKEN

    @pytest.mark.parametrize("error", [None, ""], ids=repr)
    def test_no_error_is_none(self, error: Any) -> None:
        assert (read(nft(raw={"error": error})).error, read(nft(raw={"error": error})).error_text) == (None, "")

    @pytest.mark.parametrize("time", [None, "", "yesterday", 5, {}], ids=repr)
    def test_a_time_that_cannot_be_read_is_none(self, time: Any) -> None:
        assert read(nft(timeLastUpdated=time)).time_last_updated is None

    @pytest.mark.parametrize("field", ["name", "description", "tokenType", "tokenUri", "image", "raw", "mint"])
    @pytest.mark.parametrize("value", [None, "", 5, True, [], {}, ["x"]], ids=repr)
    def test_other_fields_that_are_missing_or_strange_are_none(self, field: str, value: Any) -> None:
        metadata = read(nft(**{field: value}))

        assert metadata == TokenMetadata(token=TOKEN, time_last_updated=datetime(2026, 11, 5, 12, tzinfo=UTC))

    def test_the_uri_of_the_contract_stands_in_for_a_missing_one(self) -> None:
        assert read(nft(raw={"tokenUri": "ipfs://raw"})).token_uri == "ipfs://raw"

    def test_the_original_picture_stands_in_for_a_missing_one(self) -> None:
        assert read(nft(image={"cachedUrl": None, "originalUrl": "ipfs://7.png"})).image_url == "ipfs://7.png"


WRONG_NFTS: dict[str, Any] = {
    "of another contract": nft(contract={"address": OTHER}),
    "of another contract, named beside it": nft(contractAddress=OTHER),
    "a contract that is a text": nft(contract=OTHER),
    "a contract that is a list": nft(contract=[LOWER]),
    "an address that is a number": nft(contract={"address": 5}),
    "without a token id": {"contract": {"address": LOWER}},
    "a token id of null": nft(None),
    "an empty token id": nft(""),
    "a negative token id": nft(-7),
    "a token id that is an object": nft({}),
    "a token id that is no number": nft("seven"),
    "a token id that is a flag": nft(number=True),
    "a token id beyond the largest": nft(str(2**256)),
}
WRONG_SHAPES: list[Any] = [
    None,
    5,
    "nfts",
    True,
    {},
    {"nfts": None},
    {"nfts": {}},
    {"nfts": "none"},
    [5],
    {"nfts": [None]},
]
LISTS = ("getNFTMetadataBatch", "getNFTsForContract")


class TestAWrongNft:
    @pytest.mark.parametrize("answer", WRONG_NFTS.values(), ids=WRONG_NFTS.keys())
    def test_it_is_an_error(self, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer"):
            read(answer)

    @pytest.mark.parametrize("answer", WRONG_NFTS.values(), ids=WRONG_NFTS.keys())
    @pytest.mark.parametrize("name", LISTS)
    def test_it_spoils_no_other_of_its_list(self, name: str, answer: Any) -> None:
        found = read({"nfts": [nft(), answer]}, name)

        assert (len(found.tokens if isinstance(found, TokenPage) else found), found.unreadable) == (1, 1)

    @pytest.mark.parametrize("answer", [None, 5, "nft", {}, []], ids=repr)
    @pytest.mark.parametrize("name", LISTS)
    def test_nor_does_an_entry_of_another_shape(self, name: str, answer: Any) -> None:
        found = read({"nfts": [answer, nft()]}, name)

        assert (len(found.tokens if isinstance(found, TokenPage) else found), found.unreadable) == (1, 1)

    @pytest.mark.parametrize("answer", WRONG_NFTS.values(), ids=WRONG_NFTS.keys())
    def test_it_is_an_error_in_a_page_with_metadata_too(self, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer"):
            read({"nfts": [answer]}, "getNFTsForContract", with_metadata=True)

    def test_another_token_than_was_asked_for_is_an_error(self) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer is about another token, 8"):
            read(nft("8"))

    @pytest.mark.parametrize("answer", [None, 5, "nft", [], [nft()], {}, {"nfts": [nft()]}], ids=repr)
    def test_another_shape_is_an_error(self, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError):
            read(answer)


class TestTheAnswerToABatch:
    @pytest.mark.parametrize("wrap", [lambda nfts: nfts, lambda nfts: {"nfts": nfts}], ids=["array", "object"])
    def test_both_shapes_are_read(self, wrap: Any) -> None:
        found = read(wrap([nft("8"), nft("0x7")]), "getNFTMetadataBatch")

        assert {token_id: metadata.token for token_id, metadata in found.items()} == {8: Token(LOWER, 8), 7: TOKEN}

    def test_tokens_that_it_leaves_out_are_not_in_it(self) -> None:
        assert list(read([nft("8")], "getNFTMetadataBatch")) == [8]

    def test_tokens_that_nobody_asked_for_are_not_in_it(self) -> None:
        assert list(read([nft("9"), nft("8")], "getNFTMetadataBatch")) == [8]

    @pytest.mark.parametrize("answer", [[], {"nfts": []}], ids=repr)
    def test_an_empty_one_has_no_token(self, answer: Any) -> None:
        assert read(answer, "getNFTMetadataBatch") == {}

    def test_a_second_entry_does_not_prove_what_the_first_denies(self) -> None:
        entries = [nft("7", raw={"error": "Bad Token URI"}), nft("0x7", timeLastUpdated="2027-01-01T00:00:00Z")]
        found = read(entries, "getNFTMetadataBatch")

        assert not found[7].is_newer_than(datetime(2026, 1, 1, tzinfo=UTC))

    @pytest.mark.parametrize("answer", WRONG_SHAPES, ids=repr)
    @pytest.mark.parametrize("name", LISTS)
    def test_one_without_a_list_of_objects_is_an_error_that_shows_it(self, name: str, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer is"):
            read(answer, name)


class TestAPage:
    def test_its_tokens_are_in_the_order_of_the_service(self) -> None:
        page = read({"nfts": [NAMED_TOKEN, {"tokenId": "0x3"}]}, "getNFTsForContract")

        assert page == TokenPage((TOKEN, Token(LOWER, 3)))

    def test_its_metadata_is_read_where_it_was_asked_for(self) -> None:
        page = read({"nfts": [nft()]}, "getNFTsForContract", with_metadata=True)

        assert (page.tokens, page.metadata) == ((TOKEN,), (read(nft()),))

    @pytest.mark.parametrize(
        ("key", "next_key"), [("0x10", "0x10"), ("16", "16"), (16, "16"), (0, "0"), ("opaque==", "opaque==")], ids=repr
    )
    def test_each_form_of_the_key_leads_on(self, key: Any, next_key: str) -> None:
        assert read({"nfts": [], "pageKey": key}, "getNFTsForContract").next_key == next_key

    @pytest.mark.parametrize("answer", [{"nfts": []}, {"nfts": [], "pageKey": None}, {"nfts": [], "pageKey": ""}, []])
    def test_one_without_a_key_is_the_last(self, answer: Any) -> None:
        assert read(answer, "getNFTsForContract") == TokenPage(())

    @pytest.mark.parametrize("key", [{}, [], ["0x10"], True, False, 1.5], ids=repr)
    def test_a_key_of_another_type_is_an_error_and_no_end(self, key: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer's pageKey is "):
            read({"nfts": [NAMED_TOKEN], "pageKey": key}, "getNFTsForContract")


class TestTheAnswerToABatchOfContracts:
    @pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"contracts": items}], ids=["array", "object"])
    def test_both_shapes_are_read(self, wrap: Any) -> None:
        items = [{"address": OTHER, "name": "Other"}, {"address": ADDRESS, "name": "Dragons", "totalSupply": "5"}]
        found = read(wrap(items), "getContractMetadataBatch")

        assert {address: (one.name, one.network) for address, one in found.items()} == {
            OTHER: ("Other", "base-mainnet"),
            LOWER: ("Dragons", "base-mainnet"),
        }

    @pytest.mark.parametrize("item", [{}, {"address": None}, {"address": 5}, {"address": "0x" + "2" * 40}], ids=repr)
    def test_contracts_that_nobody_asked_for_are_not_in_it(self, item: Any) -> None:
        assert read([item, {"address": LOWER}], "getContractMetadataBatch").keys() == {LOWER}

    def test_of_two_entries_the_first_counts(self) -> None:
        items = [{"address": LOWER, "name": "First"}, {"address": ADDRESS, "name": "Second"}]

        assert read(items, "getContractMetadataBatch")[LOWER].name == "First"

    @pytest.mark.parametrize("answer", [None, 5, {}, {"contracts": {}}, [None], {"contracts": ["x"]}], ids=repr)
    def test_one_without_a_list_of_objects_is_an_error(self, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer is"):
            read(answer, "getContractMetadataBatch")


class TestPageKeys:
    @pytest.mark.parametrize("start", ["300", 300])
    def test_a_page_that_leads_back_to_the_start_is_an_error(self, start: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="names '300' as the next page, which was read before"):
            PageKeys(start).check(TokenPage((), next_key="300"), OF_COLLECTION)

    def test_a_page_that_leads_back_to_another_is_an_error(self) -> None:
        keys = PageKeys()
        keys.check(TokenPage((), next_key="a"), OF_COLLECTION)
        keys.check(TokenPage((), next_key="b"), OF_COLLECTION)
        with pytest.raises(AlchemyUnexpectedAnswerError, match="names 'a' as the next page"):
            keys.check(TokenPage((), next_key="a"), OF_COLLECTION)

    def test_the_last_page_leads_nowhere(self) -> None:
        PageKeys().check(TokenPage(()), OF_COLLECTION)


LINE = f"RefreshCollectionOperator(task_id='refresh', contract_address='{LOWER}')"
LINE_ON_BASE = f"{LINE[:-1]}, network='base-mainnet', alchemy_conn_id='mine')"
NOT_OFFERED = errors.AlchemyNetworkError("HTTP 400: This endpoint isn't enabled for that chain or network just yet")
GONE = errors.AlchemyEndpointGoneError("HTTP 404")
NO_HOST = errors.AlchemyHostNotFoundError("host x does not exist", advice="Check that it is spelled right")


def advice(name: str, error: AlchemyError, **settings: Any) -> str:
    chosen = ClientSettings(**{"api_key": KEY, "network": "base-mainnet", "source": "connection 'mine'"} | settings)
    return ROWS[name].build(chosen).advice_on(error)


class TestAnEndpointThatIsNotThere:
    def test_reingest_contract_says_that_it_is_deprecated_and_names_the_line_to_write(self) -> None:
        text = advice("reingestContract", GONE, network="eth-mainnet", source="connection 'alchemy_default'")

        assert f"Alchemy has deprecated reingestContract: refresh the collection's tokens instead: {LINE}" in text
        assert "from airflow_provider_alchemy.operators.collection" in text
        assert "leave the connection's host empty or try the other api_version in its extra" in text

    def test_reingest_contract_names_the_line_where_the_network_does_not_have_it(self) -> None:
        text = advice("reingestContract", NOT_OFFERED)

        assert (
            f"reingestContract knows eth-mainnet only: refresh the collection's tokens instead: {LINE_ON_BASE}" in text
        )

    def test_reingest_contract_names_the_line_where_the_host_may_be_gone(self) -> None:
        text = advice("reingestContract", NO_HOST)

        assert text.startswith("Check that it is spelled right. If the host is gone for good, refresh")
        assert LINE_ON_BASE in text

    @pytest.mark.parametrize(
        "error",
        [
            errors.AlchemyNetworkError("ETH_MAINNET is not enabled for this app"),
            errors.AlchemyAuthenticationError("x"),
            errors.AlchemyRateLimitError("x"),
            errors.AlchemyRequestError("Invalid arg"),
            errors.AlchemyBadAnswerError("x"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_any_other_error_keeps_its_own_advice(self, error: AlchemyError) -> None:
        assert advice("reingestContract", error) == error.advice

    @pytest.mark.parametrize("error", [GONE, NO_HOST], ids=["gone", "no host"])
    def test_other_endpoints_name_no_line(self, error: AlchemyError) -> None:
        assert advice("getContractMetadata", error) == error.advice

    def test_refresh_nft_metadata_names_the_networks_that_have_it_and_what_to_use(self) -> None:
        text = advice("refreshNftMetadata", NOT_OFFERED)

        assert "method='batch'" in text
        assert all(network in text for network in REFRESHING_NETWORKS)

    @pytest.mark.parametrize(
        ("source", "more"),
        [
            ("connection 'alchemy_default'", ""),
            ("connection 'mine'", ", alchemy_conn_id='mine'"),
            ("the client's settings", ""),
            ("connection 'a', alchemy_conn_id='b'", ""),
        ],
    )
    def test_the_line_names_the_connection_where_it_is_not_the_usual_one(self, source: str, more: str) -> None:
        assert line_instead(LOWER, ClientSettings(api_key=KEY, source=source)) == LINE[:-1] + more + ")"

    def test_an_error_that_crossed_a_process_is_known_by_its_text(self) -> None:
        crossed = error_from_dict(NOT_OFFERED.to_dict())

        assert (is_not_offered(crossed), is_gone(crossed)) == (True, True)

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (GONE, True),
            (NO_HOST, True),
            (errors.AlchemyNetworkError("ETH_MAINNET is not enabled for this app"), False),
            (errors.AlchemyRequestError("This endpoint isn't enabled for that chain"), False),
            (errors.AlchemyServerError("x"), False),
        ],
        ids=str,
    )
    def test_only_what_cannot_come_back_is_gone(self, error: AlchemyError, expected: bool) -> None:
        assert is_gone(error) is expected
