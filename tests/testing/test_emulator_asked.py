# SPDX-License-Identifier: Apache-2.0
"""What a call asks about, read from queries and bodies in every form."""

from __future__ import annotations

import pytest
from airflow_provider_alchemy.testing.asked import (
    INVALID_ARGUMENT,
    TOO_MANY_TOKENS,
    AskedPage,
    AskedTokens,
    asked_contract,
    asked_contracts,
    page_in_query,
    token_in_body,
    token_in_query,
    tokens_in_body,
)

from airflow_provider_alchemy.testing.checks import read_token_id

from .conftest import ADDRESS, batch

OTHER = "0x" + "1" * 40


@pytest.mark.parametrize(
    ("value", "token_id"),
    [(7, 7), ("7", 7), ("0x0A", 10), ("0" * 77 + "7", 7), (2**256 - 1, 2**256 - 1), ("0x" + "f" * 64, 2**256 - 1)],
)
def test_a_token_id_is_a_number_or_a_decimal_or_hexadecimal_text(value: object, token_id: int) -> None:
    assert read_token_id(value) == token_id


@pytest.mark.parametrize("value", [None, -1, True, 1.0, "", "-1", "1.0", "0x", "0xg", " 1", "٣", 2**256, str(2**256)])
def test_anything_else_is_no_token_id(value: object) -> None:
    assert read_token_id(value) is None


def test_the_tokens_of_a_batch_come_in_the_order_of_the_call_with_lower_case_addresses() -> None:
    body = {"tokens": [*batch("0x10")["tokens"], *batch(3, address=OTHER)["tokens"]], "refreshCache": True}
    assert tokens_in_body({}, body) == AskedTokens(((ADDRESS.lower(), 16), (OTHER, 3)), refreshes=True)
    assert not tokens_in_body({}, batch(1, tokenUriTimeoutInMs=0)).refreshes


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"tokens": []},
        {"tokens": "1"},
        {"tokens": [1]},
        {"tokens": [{"tokenId": 1}]},
        batch(1, "x"),
        batch(1, address="0x1"),
        batch(1, refreshCache="true"),
        batch(1, tokenUriTimeoutInMs=-1),
        batch(1, tokenUriTimeoutInMs="0"),
    ],
)
def test_a_batch_that_is_not_well_formed_names_no_token(body: object) -> None:
    assert tokens_in_body({}, body) == AskedTokens(refusal=INVALID_ARGUMENT)


def test_a_batch_holds_at_most_a_hundred_tokens() -> None:
    assert len(tokens_in_body({}, batch(*range(100))).tokens) == 100
    assert tokens_in_body({}, batch(*range(101))) == AskedTokens(refusal=TOO_MANY_TOKENS)


def test_one_token_is_read_from_a_body_or_a_query() -> None:
    token = ((ADDRESS.lower(), 5),)
    assert token_in_body({}, {"contractAddress": ADDRESS, "tokenId": "5"}) == AskedTokens(token, refreshes=True)
    query = {"contractAddress": ADDRESS, "tokenId": "5"}
    assert token_in_query(query, None) == AskedTokens(token)
    assert token_in_query({**query, "refreshCache": "true"}, None).refreshes
    assert token_in_body({}, ["5"]).refusal == INVALID_ARGUMENT


@pytest.mark.parametrize("wrong", [{"tokenId": ""}, {"refreshCache": "1"}, {"tokenUriTimeoutInMs": "soon"}])
def test_a_query_that_is_not_well_formed_names_no_token(wrong: dict[str, str]) -> None:
    query = {"contractAddress": ADDRESS, "tokenId": "5", **wrong}
    assert token_in_query(query, None) == AskedTokens(refusal=INVALID_ARGUMENT)


@pytest.mark.parametrize(
    ("query", "body", "address"),
    [
        ({"contractAddress": OTHER}, {"contractAddress": ADDRESS}, OTHER),
        ({}, {"contractAddress": ADDRESS}, ADDRESS),
        ({}, batch(1), ADDRESS),
        ({}, {"contractAddresses": [ADDRESS, OTHER]}, ADDRESS),
        ({}, {"contractAddress": 5}, None),
        ({}, {"tokens": [], "contractAddresses": [5]}, None),
        ({}, {"tokens": [[]]}, None),
        ({}, [ADDRESS], None),
        ({}, None, None),
    ],
)
def test_the_contract_of_a_call_is_the_first_one_that_it_names(
    query: dict[str, str], body: object, address: str | None
) -> None:
    assert asked_contract(query, body) == address


def test_several_contracts_are_read_in_lower_case_or_not_at_all() -> None:
    assert asked_contracts({"contractAddresses": [ADDRESS, OTHER]}) == (ADDRESS.lower(), OTHER)
    assert asked_contracts(None) is None
    for wrong in ([], [ADDRESS, "0x1"], [ADDRESS] * 101, ADDRESS):
        assert asked_contracts({"contractAddresses": wrong}) is None


def test_a_page_may_begin_at_a_start_token_or_at_a_page_key() -> None:
    assert page_in_query({}) == AskedPage(0, 100, with_metadata=True)
    assert page_in_query({"startToken": "7", "limit": "5"}) == AskedPage(7, 5, with_metadata=True)
    assert page_in_query({"pageKey": "0x0a", "withMetadata": "false"}) == AskedPage(10, 100, with_metadata=False)
    assert page_in_query({"limit": "1000"}) == AskedPage(0, 100, with_metadata=True)


@pytest.mark.parametrize(
    "query", [{"startToken": "x"}, {"limit": "0"}, {"limit": "-1"}, {"limit": "9" * 5000}, {"withMetadata": "1"}]
)
def test_a_page_that_is_not_well_formed_is_none(query: dict[str, str]) -> None:
    assert page_in_query(query) is None
