# SPDX-License-Identifier: Apache-2.0
"""How the answers of the endpoints of single tokens are read, and which of them are none."""

from __future__ import annotations

from typing import Any

import pytest
from pendulum import datetime

from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.models import MetadataError, Token, TokenMetadata, TokenPage, TokenRefresh

from .shells import ADDRESS, LOWER
from .test_token_endpoints import CALLS, NAMED_TOKEN, OTHER, SETTINGS, TOKEN

UPDATED = "2026-11-05T12:00:00.000Z"


def nft(number: Any = "7", **fields: Any) -> dict[str, Any]:
    return {
        "contract": {"address": LOWER},
        "tokenId": number,
        "raw": {"error": None},
        "timeLastUpdated": UPDATED,
    } | fields


def read(answer: Any, name: str = "getNFTMetadata", **more: Any) -> Any:
    return CALLS[name](SETTINGS, **more).read(answer)


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
            time_last_updated=datetime(2026, 11, 5, 12),
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

        assert metadata == TokenMetadata(token=TOKEN, time_last_updated=datetime(2026, 11, 5, 12))

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
    def test_it_is_an_error_in_a_list_too(self, name: str, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the answer"):
            read({"nfts": [nft(), answer]}, name)

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

        assert not found[7].is_newer_than(datetime(2026, 1, 1))

    @pytest.mark.parametrize("answer", WRONG_SHAPES, ids=repr)
    @pytest.mark.parametrize("name", LISTS)
    def test_one_without_a_list_of_objects_is_an_error_that_shows_it(self, name: str, answer: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="is no list and has none in its field 'nfts'"):
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
        with pytest.raises(AlchemyUnexpectedAnswerError, match="has none in its field 'contracts'"):
            read(answer, "getContractMetadataBatch")
