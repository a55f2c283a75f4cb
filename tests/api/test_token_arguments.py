# SPDX-License-Identifier: Apache-2.0
"""Arguments about tokens that cannot be right: refused by both clients before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError, AlchemyTokenIdError
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.testing import AlchemyEmulator

from .shells import ADDRESS, LOWER, Client

pytestmark = pytest.mark.integration

Refused = Callable[..., str]

BAD_ADDRESSES = [None, "", LOWER[:-1], ADDRESS.replace("E", "e", 1), "{{ params.address }}"]
BAD_IDS = [-1, "-1", "", "seven", "0x", 2**256, str(2**256), 10**5000, None, True, 1.5, [7]]


def ask(method: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    value = method(*arguments, **options)
    if isinstance(value, Iterator):
        next(value)


@pytest.fixture
def refused(client: Client, emulator: AlchemyEmulator) -> Refused:
    """Give the text of the error with which a call is refused; nothing may have been sent for it."""

    def call(error: type[AlchemyArgumentError], method: str, *arguments: Any, **options: Any) -> str:
        usage = Usage()
        with pytest.raises(error) as caught:
            ask(getattr(client, method), *arguments, usage=usage, **options)
        assert (usage.calls, emulator.connections) == (0, 0)
        return str(caught.value)

    return call


@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=repr)
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("refresh_nft_metadata", (7,)),
        ("get_nft_metadata", (7,)),
        ("get_nft_metadata_batch", ([7],)),
        ("get_nfts_for_contract", ()),
    ],
)
def test_a_bad_address_is_refused(refused: Refused, method: str, arguments: Any, address: Any) -> None:
    assert "argument 'contract_address' " in refused(AlchemyAddressError, method, address, *arguments)


@pytest.mark.parametrize("token_id", BAD_IDS, ids=lambda value: str(type(value).__name__))
@pytest.mark.parametrize("method", ["refresh_nft_metadata", "get_nft_metadata"])
def test_a_bad_token_id_is_refused(refused: Refused, method: str, token_id: Any) -> None:
    assert "argument 'token_id' is " in refused(AlchemyTokenIdError, method, ADDRESS, token_id)


@pytest.mark.parametrize("token_id", BAD_IDS, ids=lambda value: str(type(value).__name__))
def test_a_bad_token_id_of_a_batch_is_named_with_its_position(refused: Refused, token_id: Any) -> None:
    told = refused(AlchemyTokenIdError, "get_nft_metadata_batch", ADDRESS, [7, 8, token_id, 9])

    assert told.startswith("token_ids[2] (number 3 of 4) is ")


@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=repr)
def test_a_bad_address_of_a_batch_is_named_with_its_position(refused: Refused, address: Any) -> None:
    told = refused(AlchemyAddressError, "get_contract_metadata_batch", [ADDRESS, address])

    assert told.startswith("contract_addresses[1] (number 2 of 2) ")


def test_more_than_a_hundred_tokens_are_refused_with_their_number(refused: Refused) -> None:
    told = refused(AlchemyArgumentError, "get_nft_metadata_batch", ADDRESS, range(101))

    assert told == "argument 'token_ids' stands for 101 tokens; one call takes 1 to 100."


def test_more_than_a_hundred_contracts_are_refused_with_their_number(refused: Refused) -> None:
    addresses = [f"0x{number:040x}" for number in range(101)]
    told = refused(AlchemyArgumentError, "get_contract_metadata_batch", addresses)

    assert told == "argument 'contract_addresses' stands for 101 contracts; one call takes 1 to 100."


def test_a_hundred_tokens_may_be_named_twice(client: Client) -> None:
    assert len(client.get_nft_metadata_batch(ADDRESS, [*range(100), *map(str, range(100))])) == 100


def test_no_tokens_are_refused(refused: Refused) -> None:
    assert "stands for 0 tokens" in refused(AlchemyArgumentError, "get_nft_metadata_batch", ADDRESS, [])


def test_no_contracts_are_refused(refused: Refused) -> None:
    assert "names no contract" in refused(AlchemyArgumentError, "get_contract_metadata_batch", [])


@pytest.mark.parametrize("token_ids", [None, 7, {"tokens": [7]}, b"7", ""], ids=repr)
def test_token_ids_that_are_no_list_are_refused(refused: Refused, token_ids: Any) -> None:
    assert "argument 'token_ids' is " in refused(AlchemyArgumentError, "get_nft_metadata_batch", ADDRESS, token_ids)


def test_a_text_of_a_token_id_is_one_token_and_not_its_digits(client: Client, emulator: AlchemyEmulator) -> None:
    client.get_nft_metadata_batch(ADDRESS, "123")

    assert emulator.asked_tokens() == {123: 1}


def test_a_text_of_an_address_is_one_contract(client: Client) -> None:
    assert list(client.get_contract_metadata_batch(ADDRESS)) == [LOWER]


@pytest.mark.parametrize("size", [0, 101, -1, 10**5000], ids=["0", "101", "-1", "huge"])
def test_a_page_size_out_of_range_is_refused(refused: Refused, size: int) -> None:
    told = refused(AlchemyArgumentError, "get_nfts_for_contract", ADDRESS, page_size=size)

    assert told.endswith(" tokens; one call takes 1 to 100.")


@pytest.mark.parametrize("size", [None, "10", 1.5, True, [10]], ids=repr)
def test_a_page_size_that_is_no_whole_number_is_refused(refused: Refused, size: Any) -> None:
    told = refused(AlchemyArgumentError, "get_nfts_for_contract", ADDRESS, page_size=size)

    assert told == f"argument 'page_size' is {size!r}; expected a whole number from 1 to 100."


@pytest.mark.parametrize("start", [-1, 2**256, 1.5, True, [7]], ids=str)
def test_a_start_that_is_no_token_id_is_refused(refused: Refused, start: Any) -> None:
    told = refused(AlchemyTokenIdError, "get_nfts_for_contract", ADDRESS, start_token=start)

    assert "argument 'start_token' is " in told


@pytest.mark.parametrize("start", ["", " \n"])
def test_an_empty_start_is_refused_because_it_would_begin_anew(refused: Refused, start: str) -> None:
    told = refused(AlchemyTokenIdError, "get_nfts_for_contract", ADDRESS, start_token=start)

    assert "argument 'start_token' is empty, or its template rendered to nothing" in told
