# SPDX-License-Identifier: Apache-2.0
"""What users of both clients see of single tokens: metadata, refreshes, pages and their price."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from pendulum import DateTime, datetime, now

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.models import ContractMetadata, MetadataError, Token, TokenMetadata, TokenRefresh
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import Connect
from .shells import ADDRESS, LOWER, Client

pytestmark = pytest.mark.integration

OTHER = "0xbc4ca0eda7647a8ab7c2061c2e118a18a936f13d"
UPDATED = datetime(2026, 1, 1)

Ask = Callable[..., Any]
ASKS: dict[str, Ask] = {
    "refreshNftMetadata": lambda client, **more: client.refresh_nft_metadata(ADDRESS, 7, **more),
    "getNFTMetadata": lambda client, **more: client.get_nft_metadata(ADDRESS, 7, **more),
    "getNFTMetadataBatch": lambda client, **more: client.get_nft_metadata_batch(ADDRESS, [7, 8], **more),
    "getNFTsForContract": lambda client, **more: next(client.get_nfts_for_contract(ADDRESS, **more)),
    "getContractMetadataBatch": lambda client, **more: client.get_contract_metadata_batch([ADDRESS, OTHER], **more),
}
EACH = pytest.mark.parametrize("name", ASKS)


def ids(client: Client, **arguments: Any) -> list[int]:
    return [token.token_id for page in client.get_nfts_for_contract(ADDRESS, **arguments) for token in page.tokens]


class TestEveryEndpoint:
    @EACH
    @pytest.mark.parametrize("auth", ["path", "header"])
    def test_it_is_asked_once_with_the_key_where_the_settings_say(
        self, connect: Connect, emulator: AlchemyEmulator, name: str, auth: str
    ) -> None:
        ASKS[name](connect(auth=auth))

        assert [(call.endpoint, call.auth, call.http_status) for call in emulator.calls] == [(name, auth, 200)]

    @EACH
    def test_the_meter_counts_what_the_service_bills(
        self, client: Client, emulator: AlchemyEmulator, name: str
    ) -> None:
        usage = Usage()
        ASKS[name](client, usage=usage)

        assert (usage.calls, usage.compute_units) == (1, emulator.compute_units)

    @EACH
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"kind": "http", "status": 400, "message": "Invalid arg"}, errors.AlchemyRequestError),
            ({"kind": "http", "status": 401}, errors.AlchemyAuthenticationError),
            ({"kind": "http", "status": 410}, errors.AlchemyEndpointGoneError),
            ({"kind": "http", "status": 429}, errors.AlchemyRateLimitError),
            ({"kind": "http", "status": 503, "body": "html"}, errors.AlchemyServerError),
            ({"kind": "error_object"}, errors.AlchemyServerError),
            ({"kind": "redirect"}, errors.AlchemyUnexpectedAnswerError),
            ({"kind": "empty"}, errors.AlchemyBadAnswerError),
            ({"kind": "html"}, errors.AlchemyBadAnswerError),
            ({"kind": "cut_json"}, errors.AlchemyBadAnswerError),
            ({"kind": "reset"}, errors.AlchemyConnectionError),
        ],
        ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
    )
    def test_each_fault_is_its_type_of_error_and_billed_as_the_service_does(
        self, connect: Connect, emulator: AlchemyEmulator, name: str, fault: dict[str, Any], error: type[AlchemyError]
    ) -> None:
        emulator.add_fault(**fault)
        usage = Usage()
        with pytest.raises(error):
            ASKS[name](connect(max_attempts=1), usage=usage)

        assert (usage.calls, usage.compute_units) == (emulator.count(), emulator.compute_units)

    @EACH
    @pytest.mark.usefixtures("pauses")
    def test_what_passes_is_tried_again(self, client: Client, emulator: AlchemyEmulator, name: str) -> None:
        emulator.add_fault("reset", times=2)
        ASKS[name](client)

        assert [call.http_status for call in emulator.calls] == [None, None, 200]

    @pytest.mark.parametrize("name", ["getNFTMetadata", "getNFTMetadataBatch", "getNFTsForContract"])
    def test_an_answer_about_another_contract_is_an_error(
        self, client: Client, emulator: AlchemyEmulator, name: str
    ) -> None:
        emulator.add_fault("other_contract")
        with pytest.raises(errors.AlchemyUnexpectedAnswerError, match="about another contract"):
            ASKS[name](client)

    def test_metadata_of_other_contracts_alone_is_none_of_those_asked_for(
        self, client: Client, emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault("other_contract")

        assert client.get_contract_metadata_batch([ADDRESS, OTHER]) == {}

    @pytest.mark.parametrize("name", [name for name in ASKS if name != "getContractMetadataBatch"])
    def test_an_answer_of_wrong_types_is_an_error_that_names_its_subject(
        self, client: Client, emulator: AlchemyEmulator, name: str
    ) -> None:
        emulator.add_fault("wrong_types")
        with pytest.raises(errors.AlchemyUnexpectedAnswerError, match=rf"collection {LOWER} on .*: the answer"):
            ASKS[name](client)


class TestARefresh:
    @pytest.mark.parametrize("form", ["int", "text"])
    def test_it_says_what_the_service_says(self, client: Client, emulator: AlchemyEmulator, form: str) -> None:
        emulator.configure(estimate_form=form)
        emulator.set_collection(ADDRESS, queue_seconds=10)

        assert client.refresh_nft_metadata(ADDRESS, "0x7") == TokenRefresh(Token(LOWER, 7), "Queued", 10.0)

    def test_it_asks_for_its_token_once(self, client: Client, emulator: AlchemyEmulator) -> None:
        client.refresh_nft_metadata(ADDRESS, 2**200)

        assert emulator.asked_tokens("refreshNftMetadata") == {2**200: 1}

    def test_a_refusal_of_a_second_one_is_a_request_error(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.configure(repeated_refresh="refused")
        client.refresh_nft_metadata(ADDRESS, 7)
        with pytest.raises(errors.AlchemyRequestError, match="refreshed in the last 15 minutes"):
            client.refresh_nft_metadata(ADDRESS, 7)

    def test_a_network_where_it_is_not_offered_is_a_network_error(
        self, connect: Connect, emulator: AlchemyEmulator
    ) -> None:
        elsewhere = connect(host=f"{emulator.url}/{{network}}", network="zora-mainnet")
        with pytest.raises(errors.AlchemyNetworkError, match=r"on zora-mainnet .*isn't enabled for that chain"):
            elsewhere.refresh_nft_metadata(ADDRESS, 7)


class TestATokensMetadata:
    def test_it_is_typed(self, client: Client) -> None:
        assert client.get_nft_metadata(ADDRESS, 7) == TokenMetadata(
            token=Token(LOWER, 7),
            time_last_updated=UPDATED,
            name="Emulated #7",
            description="A token that exists in tests only.",
            token_type="ERC721",
            token_uri="https://emulated.example/7.json",
            image_url="https://emulated.example/7.png",
        )

    def test_its_time_is_aware(self, client: Client) -> None:
        updated = client.get_nft_metadata(ADDRESS, 7).time_last_updated

        assert isinstance(updated, DateTime)
        assert updated.tzinfo is not None

    def test_reading_it_refreshes_nothing(self, client: Client) -> None:
        client.get_nft_metadata(ADDRESS, 7)

        assert client.get_nft_metadata(ADDRESS, 7).time_last_updated == UPDATED

    def test_refreshing_it_first_is_proven_by_its_time(self, client: Client) -> None:
        asked_at = now("UTC")

        assert client.get_nft_metadata(ADDRESS, 7, refresh=True).is_newer_than(asked_at)

    @pytest.mark.parametrize(
        ("text", "error"),
        [("Token does not exist", MetadataError.NO_SUCH_TOKEN), ("The dragon ate it", MetadataError.UNKNOWN)],
    )
    def test_its_error_and_the_errors_text_arrive(
        self, client: Client, emulator: AlchemyEmulator, text: str, error: MetadataError
    ) -> None:
        emulator.set_tokens(ADDRESS, [7], error=text)
        metadata = client.get_nft_metadata(ADDRESS, 7, refresh=True)

        assert (metadata.error, metadata.error_text, metadata.name) == (error, text, None)

    @pytest.mark.parametrize("time", [None, "yesterday", 5])
    def test_a_time_that_cannot_be_read_proves_nothing(
        self, client: Client, emulator: AlchemyEmulator, time: Any
    ) -> None:
        emulator.add_fault("wrong_types", fields={"timeLastUpdated": time})

        assert not client.get_nft_metadata(ADDRESS, 7, refresh=True).is_newer_than(UPDATED)

    def test_an_answer_about_another_token_is_an_error(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("wrong_types", fields={"tokenId": "8"})
        with pytest.raises(errors.AlchemyUnexpectedAnswerError, match="about another token, 8"):
            client.get_nft_metadata(ADDRESS, 7)


@pytest.mark.parametrize("form", ["object", "array"])
class TestABatch:
    def test_each_token_is_in_it_under_its_id(self, client: Client, emulator: AlchemyEmulator, form: str) -> None:
        emulator.configure(batch_form=form)
        found = client.get_nft_metadata_batch(ADDRESS, [8, 7])

        assert {token_id: metadata.name for token_id, metadata in found.items()} == {
            8: "Emulated #8",
            7: "Emulated #7",
        }

    def test_each_token_is_asked_for_once_whatever_its_form(
        self, client: Client, emulator: AlchemyEmulator, form: str
    ) -> None:
        emulator.configure(batch_form=form)
        client.get_nft_metadata_batch(ADDRESS, [7, "7", "0x7", "0x08", 8])

        assert emulator.asked_tokens("getNFTMetadataBatch") == {7: 1, 8: 1}

    def test_a_hundred_tokens_are_one_call(self, client: Client, emulator: AlchemyEmulator, form: str) -> None:
        emulator.configure(batch_form=form)

        assert (len(client.get_nft_metadata_batch(ADDRESS, range(100))), emulator.count()) == (100, 1)

    def test_the_tokens_of_one_call_may_fare_differently(
        self, client: Client, emulator: AlchemyEmulator, form: str
    ) -> None:
        emulator.configure(batch_form=form)
        emulator.set_tokens(ADDRESS, [8], error="Bad Token URI")
        emulator.set_tokens(ADDRESS, [9], stale=True)
        asked_at = now("UTC")
        found = client.get_nft_metadata_batch(ADDRESS, [7, 8, 9], refresh=True)

        assert [token_id for token_id, metadata in found.items() if metadata.is_newer_than(asked_at)] == [7]

    def test_contracts_are_in_theirs_under_their_addresses(
        self, client: Client, emulator: AlchemyEmulator, form: str
    ) -> None:
        emulator.configure(batch_form=form)
        emulator.set_collection(OTHER, tokens=5)
        found = client.get_contract_metadata_batch([ADDRESS, OTHER, LOWER])

        assert {address: metadata.total_supply for address, metadata in found.items()} == {LOWER: 10_000, OTHER: 5}
        assert all(isinstance(metadata, ContractMetadata) for metadata in found.values())


class TestPages:
    @pytest.mark.parametrize("key_form", ["hex", "decimal"])
    @pytest.mark.parametrize("last_key", ["absent", "null"])
    def test_they_hold_each_token_of_the_collection_once(
        self, client: Client, emulator: AlchemyEmulator, key_form: str, last_key: str
    ) -> None:
        emulator.configure(page_key_form=key_form, last_page_key=last_key)
        emulator.set_collection(ADDRESS, tokens=250, first_id=2**200)

        assert ids(client) == list(range(2**200, 2**200 + 250))

    def test_each_is_asked_for_when_it_is_taken(self, client: Client, emulator: AlchemyEmulator) -> None:
        pages = client.get_nfts_for_contract(ADDRESS)
        asked = []
        for _ in range(3):
            asked.append(emulator.count())
            next(pages)

        assert asked == [0, 1, 2]

    def test_no_further_call_is_made_after_the_last(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=200)

        assert (len(list(client.get_nfts_for_contract(ADDRESS))), emulator.count()) == (2, 2)

    def test_an_empty_collection_is_one_empty_page(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=0)

        assert [page.tokens for page in client.get_nfts_for_contract(ADDRESS)] == [()]

    def test_the_meter_counts_each_when_it_is_taken(self, client: Client, emulator: AlchemyEmulator) -> None:
        usage = Usage()
        pages = islice(client.get_nfts_for_contract(ADDRESS, usage=usage), 3)

        assert [usage.compute_units for _ in pages] == [600, 1200, 1800]
        assert emulator.compute_units == 1800

    @pytest.mark.parametrize("start", [9_998, "9998", "0x270e"])
    def test_they_begin_where_they_are_told(self, client: Client, start: int | str) -> None:
        assert ids(client, start_token=start) == [9_998, 9_999]

    def test_they_go_on_from_a_key_that_was_kept(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        kept = next(client.get_nfts_for_contract(ADDRESS)).next_key

        assert ids(client, start_token=kept) == list(range(100, 250))

    def test_they_are_as_large_as_they_are_told(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=25)

        assert [len(page.tokens) for page in client.get_nfts_for_contract(ADDRESS, page_size=10)] == [10, 10, 5]

    def test_pages_that_are_smaller_than_they_may_be_are_no_end(
        self, client: Client, emulator: AlchemyEmulator
    ) -> None:
        emulator.configure(page_size=10)
        emulator.set_collection(ADDRESS, tokens=25)

        assert ids(client) == list(range(25))

    def test_their_metadata_is_there_where_it_was_asked_for(self, client: Client) -> None:
        page = next(client.get_nfts_for_contract(ADDRESS, with_metadata=True, page_size=2))

        assert [(metadata.token, metadata.name) for metadata in page.metadata] == [
            (Token(LOWER, 0), "Emulated #0"),
            (Token(LOWER, 1), "Emulated #1"),
        ]

    def test_they_have_no_metadata_else(self, client: Client) -> None:
        assert next(client.get_nfts_for_contract(ADDRESS)).metadata == ()

    @pytest.mark.parametrize("start", [None, 300])
    def test_a_page_that_leads_back_ends_them_with_an_error(
        self, client: Client, emulator: AlchemyEmulator, start: int | None
    ) -> None:
        emulator.configure(repeat_page_key=True)
        with pytest.raises(errors.AlchemyUnexpectedAnswerError, match="as the next page, which was read before"):
            list(client.get_nfts_for_contract(ADDRESS, start_token=start))

        assert emulator.count() <= 2

    def test_a_page_that_leads_back_to_the_start_is_noticed_by_its_key(
        self, client: Client, emulator: AlchemyEmulator
    ) -> None:
        emulator.configure(repeat_page_key=True, page_key_form="decimal")
        with pytest.raises(errors.AlchemyUnexpectedAnswerError, match="names '300' as the next page"):
            next(client.get_nfts_for_contract(ADDRESS, start_token=300))

    def test_a_key_of_another_type_is_no_end_of_them(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("wrong_types", fields={"pageKey": {}})
        with pytest.raises(errors.AlchemyUnexpectedAnswerError, match=r"the answer's pageKey is \{\}"):
            list(client.get_nfts_for_contract(ADDRESS))

    @pytest.mark.parametrize("nfts", [5, None, {}, ["x"]], ids=repr)
    def test_one_without_a_list_is_an_error(self, client: Client, emulator: AlchemyEmulator, nfts: Any) -> None:
        emulator.add_fault("wrong_types", fields={"nfts": nfts})
        with pytest.raises(errors.AlchemyUnexpectedAnswerError, match="has none in its field 'nfts'"):
            next(client.get_nfts_for_contract(ADDRESS))
