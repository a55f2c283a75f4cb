# SPDX-License-Identifier: Apache-2.0
"""A batch's contracts in every form that a person, a template or another task gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import (
    MOST_CONTRACTS,
    ContractList,
    pack_addresses,
    read_contracts,
    unpack_addresses,
)

from .shells import ADDRESS, LOWER

OTHER = "0xbc4ca0eda7647a8ab7c2061c2e118a18a936f13d"

addresses = st.binary(min_size=20, max_size=20).map(lambda digits: f"0x{digits.hex()}")
lists = st.lists(addresses, min_size=1, max_size=30)
spellings: list[Callable[[str], str]] = [str, to_checksum_address, lambda text: "0x" + text[2:].upper()]
written: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "JSON": json.dumps,
    "indented JSON": lambda items: json.dumps(items, indent=2),
    "Python list": str,
    "Python tuple": lambda items: str(tuple(items)),
    "commas": ",".join,
    "commas and spaces": ", ".join,
    "lines": "\n".join,
    "spaces at the ends": lambda items: f"  {' '.join(items)}\n",
    "a comma at the end": lambda items: ",\n".join(items) + ",",
}


def numbered(count: int) -> list[str]:
    return [f"0x{number:040x}" for number in range(count)]


@pytest.mark.parametrize("form", written.values(), ids=written.keys())
class TestEveryForm:
    @given(items=lists)
    def test_it_gives_each_contract_once_in_the_order_of_the_first(self, form: Any, items: list[str]) -> None:
        assert read_contracts(form(items)).addresses == tuple(dict.fromkeys(items))

    @given(items=lists)
    def test_what_is_left_out_is_counted(self, form: Any, items: list[str]) -> None:
        contracts = read_contracts(form(items))

        assert len(contracts.addresses) + contracts.duplicates == len(items)

    @given(address=addresses, spelling=st.lists(st.sampled_from(spellings), min_size=1, max_size=6))
    def test_another_letter_case_is_the_same_contract(
        self, form: Any, address: str, spelling: list[Callable[[str], str]]
    ) -> None:
        contracts = read_contracts(form([spell(address) for spell in spelling]))

        assert contracts == ContractList((address,), len(spelling) - 1)


@given(items=lists)
def test_a_packed_list_is_unpacked_as_it_was(items: list[str]) -> None:
    assert unpack_addresses(pack_addresses(items)) == tuple(items)


def test_a_packed_list_takes_less_than_thirty_characters_an_address() -> None:
    assert len(pack_addresses(numbered(10_000))) < 300_000


@pytest.mark.parametrize("text", ["0xE9", "AAAA", "not base64!"])
def test_what_is_no_packed_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack_addresses(text)


@given(items=lists, network=st.sampled_from(["eth-mainnet", "base-mainnet"]))
def test_a_list_has_the_same_digest_wherever_it_is_read(items: list[str], network: str) -> None:
    assert read_contracts(items).digest(network) == read_contracts(str(items)).digest(network)


def test_other_contracts_have_another_digest() -> None:
    digests = {
        ContractList(tuple(items)).digest(network)
        for items in ([LOWER], [OTHER], [LOWER, OTHER], [OTHER, LOWER])
        for network in ("eth-mainnet", "base-mainnet")
    }

    assert len(digests) == 8


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "argument 'contract_addresses' is None and no list"),
        (5, "argument 'contract_addresses' is 5 and no list"),
        (True, "argument 'contract_addresses' is True and no list"),
        (b"0x", "argument 'contract_addresses' is b'0x' and no list"),
        ({"finished": [ADDRESS]}, "and no list"),
        ("", "argument 'contract_addresses' is empty, or its template rendered to nothing"),
        (" \n", "argument 'contract_addresses' is empty, or its template rendered to nothing"),
        ([], "argument 'contract_addresses' names no contract: the list is empty"),
        ((), "the list is empty"),
        ("[]", "the list is empty"),
        (",", "the list is empty"),
        ("[", "begins like a list but is none"),
        ('["0x', "begins like a list but is none"),
        ("[f(x)]", "begins like a list but is none"),
        ('{"a": 1}', "begins like a list but is none"),
        ("(" * 5000, "begins like a list but is none"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_list_is_refused_by_name(value: Any, problem: str) -> None:
    with pytest.raises(AlchemyArgumentError) as caught:
        read_contracts(value)

    assert problem in str(caught.value)
    assert "expected a list of contract addresses" in str(caught.value)


def test_an_xcom_of_none_is_explained() -> None:
    with pytest.raises(AlchemyArgumentError, match="one that was skipped or pushed nothing leaves None"):
        read_contracts(None)


def test_a_whole_result_in_place_of_its_list_is_explained() -> None:
    with pytest.raises(AlchemyArgumentError, match=r"task\.output\['finished'\]"):
        read_contracts({"finished": [ADDRESS], "failed": {}})


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("0x123", "is '0x123', which is no contract address; expected 0x and 40 hexadecimal digits"),
        ("None", "is 'None', which is no contract address"),
        ("", "is empty, or its template rendered to nothing"),
        (None, "is None and no text"),
        (0xE9FC, "is 59900 and no text"),
        ([ADDRESS], "and no text"),
        (ADDRESS.replace("Ca", "cA"), "whose capital letters do not match its EIP-55 checksum"),
    ],
    ids=str,
)
def test_a_bad_address_is_named_with_its_position(item: Any, problem: str) -> None:
    items = [*numbered(17), item, *numbered(982)]

    with pytest.raises(AlchemyAddressError) as caught:
        read_contracts(items)

    assert str(caught.value).startswith("contract_addresses[17] (number 18 of 1,000) is ")
    assert problem in str(caught.value)


def test_it_says_how_many_more_are_bad() -> None:
    with pytest.raises(
        AlchemyAddressError, match=r"contract_addresses\[1\] .*; 2 more of the addresses cannot be right"
    ):
        read_contracts([ADDRESS, "a", "b", OTHER, None])


def test_one_bad_address_is_the_only_one() -> None:
    with pytest.raises(AlchemyAddressError) as caught:
        read_contracts([ADDRESS, "a"])

    assert "more of the addresses" not in str(caught.value)


@given(good=lists, bad=st.text(max_size=60).filter(lambda text: len(text.strip()) != 42), data=st.data())
def test_no_list_with_a_bad_address_gets_through(good: list[str], bad: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(good)))

    with pytest.raises(AlchemyAddressError) as caught:
        read_contracts([*good[:position], bad, *good[position:]])

    assert f"contract_addresses[{position}]" in str(caught.value)


def test_a_long_item_does_not_fill_the_log() -> None:
    with pytest.raises(AlchemyAddressError) as caught:
        read_contracts([numbered(1000)])

    assert len(str(caught.value)) < 500


def test_ten_thousand_contracts_are_taken() -> None:
    assert len(read_contracts(numbered(MOST_CONTRACTS)).addresses) == MOST_CONTRACTS


def test_one_more_is_refused_with_the_number() -> None:
    with pytest.raises(AlchemyArgumentError, match="names 10,001 different contracts; a task takes 10,000 at most"):
        read_contracts(numbered(MOST_CONTRACTS + 1))


def test_duplicates_do_not_count_towards_the_most() -> None:
    contracts = read_contracts(numbered(MOST_CONTRACTS) * 2)

    assert (len(contracts.addresses), contracts.duplicates) == (MOST_CONTRACTS, MOST_CONTRACTS)


class TestItemsThatAreNotKnownYet:
    @staticmethod
    def is_unknown(item: Any) -> bool:
        return bool(item == "{{ later }}")

    def test_they_are_left_out(self) -> None:
        assert read_contracts(["{{ later }}", ADDRESS], self.is_unknown).addresses == (LOWER,)

    def test_a_list_of_nothing_else_is_no_empty_one(self) -> None:
        assert read_contracts(["{{ later }}"], self.is_unknown) == ContractList(())

    def test_positions_count_them(self) -> None:
        with pytest.raises(AlchemyAddressError, match=r"contract_addresses\[2\] \(number 3 of 3\)"):
            read_contracts(["{{ later }}", ADDRESS, "0x1"], self.is_unknown)
