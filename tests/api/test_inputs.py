# SPDX-License-Identifier: Apache-2.0
"""What people, templates and tasks write into arguments: what is taken, and what is refused with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import pendulum
import pytest
from eth_utils.address import to_checksum_address
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import (
    AlchemyAddressError,
    AlchemyArgumentError,
    AlchemyTokenIdError,
    ErrorKind,
)
from airflow_provider_alchemy.api.inputs import (
    MAX_CLOCK_AHEAD,
    MAX_CONTRACTS,
    MAX_TOKEN_ID,
    ContractList,
    TokenList,
    check_not_ahead,
    read_contract_address,
    read_contracts,
    read_fresh_since,
    read_items,
    read_network,
    read_token_id,
    read_token_ids,
    shown,
)
from airflow_provider_alchemy.api.packing import pack_addresses, pack_ids, unpack_addresses, unpack_ids

from .shells import ADDRESS, LOWER

SINCE = pendulum.datetime(2026, 11, 22, 10)
BYTES_20 = st.binary(min_size=20, max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@pytest.mark.parametrize(
    "written",
    [ADDRESS, LOWER, "0x" + LOWER[2:].upper(), f"  {ADDRESS}\n"],
    ids=["checksum", "lower case", "upper case", "with white space round it"],
)
def test_an_address_is_accepted_in_each_valid_form_and_becomes_lower_case(written: str) -> None:
    assert read_contract_address(written) == LOWER


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "no text"),
        (5, "no text"),
        (b"0x", "no text"),
        ([ADDRESS], "no text"),
        ("", "empty"),
        ("   ", "empty"),
        (LOWER[2:], "no contract address"),
        (LOWER[:-1], "no contract address"),
        (LOWER + "0", "no contract address"),
        ("0x" + "g" * 40, "no contract address"),
        ("0X" + LOWER[2:], "no contract address"),
        ("0x" + "٣" * 40, "no contract address"),
        (LOWER[:20] + "\n" + LOWER[21:], "no contract address"),
        ("vitalik.eth", "no contract address"),
        ("{{ params.address }}", "no contract address"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(written: Any, words: str) -> None:
    with pytest.raises(AlchemyAddressError, match=words):
        read_contract_address(written)


def test_an_address_that_is_refused_names_the_argument_and_what_was_expected() -> None:
    with pytest.raises(AlchemyAddressError, match=r"'collection'.*expected 0x and 40 hexadecimal digits"):
        read_contract_address("nothing", "collection")


def test_a_refused_address_is_the_users_to_mend_and_a_value_error() -> None:
    with pytest.raises(ValueError, match="contract_address") as caught:
        read_contract_address("nothing")
    assert isinstance(caught.value, AlchemyAddressError)
    assert caught.value.kind is ErrorKind.PERMANENT


@given(BYTES_20)
def test_any_twenty_bytes_in_lower_or_upper_case_are_an_address(digits: bytes) -> None:
    assert read_contract_address("0x" + digits.hex().upper()) == read_contract_address("0x" + digits.hex())


@given(BYTES_20)
def test_any_address_with_its_checksum_passes(digits: bytes) -> None:
    assert read_contract_address(to_checksum_address(digits)) == "0x" + digits.hex()


@given(BYTES_20, st.data())
def test_one_letter_in_the_wrong_case_fails_the_checksum(digits: bytes, data: st.DataObject) -> None:
    right = to_checksum_address(digits)
    letters = [index for index, letter in enumerate(right) if index > 1 and letter.isalpha()]
    assume(letters)
    index = data.draw(st.sampled_from(letters))
    wrong = right[:index] + right[index].swapcase() + right[index + 1 :]
    assume(wrong[2:] not in {wrong[2:].lower(), wrong[2:].upper()})  # one case only is not checked
    with pytest.raises(AlchemyAddressError, match="EIP-55"):
        read_contract_address(wrong)


@given(ANYTHING)
def test_anything_is_an_address_or_an_address_error(value: Any) -> None:
    try:
        address = read_contract_address(value)
    except AlchemyAddressError:
        return
    assert address == str(value).strip().lower()


@pytest.mark.parametrize("slug", ["eth-mainnet", "base-sepolia", "bnb-mainnet", "zksync-mainnet", "a-network-2027"])
def test_any_slug_is_a_network_because_the_list_changes(slug: str) -> None:
    assert read_network(f" {slug} ") == slug


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "",
        "Eth-Mainnet",
        "eth_mainnet",
        "evil.example/",
        "eth-mainnet@evil.example",
        "a#",
        "a?b",
        "-a",
        "a-",
        "a b",
        "a" * 64,
    ],
)
def test_what_could_change_the_host_is_no_network(value: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match="expected a network's slug"):
        read_network(value)


IDS = st.integers(0, MAX_TOKEN_ID) | st.integers(0, 300)


class TestATokenId:
    @given(token_id=IDS)
    def test_each_form_is_the_same_id(self, token_id: int) -> None:
        forms = [token_id, str(token_id), hex(token_id), f"0X{token_id:X}", f"0x{token_id:064x}", f" {token_id:09}\n"]

        assert {read_token_id(form) for form in forms} == {token_id}

    @given(text=st.text(max_size=8) | st.from_regex(r"[0-9a-fx\-+_ .]{0,8}", fullmatch=True))
    def test_any_text_is_an_id_in_range_or_an_error(self, text: str) -> None:
        with suppress(AlchemyTokenIdError):
            assert 0 <= read_token_id(text) <= MAX_TOKEN_ID

    @pytest.mark.parametrize("text", ["255", "0xff", "0XFF", "0x00FF", " 255 "])
    def test_a_text_is_read_by_its_prefix(self, text: str) -> None:
        assert read_token_id(text) == 255

    @pytest.mark.parametrize("value", [MAX_TOKEN_ID, str(MAX_TOKEN_ID), hex(MAX_TOKEN_ID)], ids=type)
    def test_the_largest_is_taken(self, value: Any) -> None:
        assert read_token_id(value) == MAX_TOKEN_ID

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (-1, "is -1,"),
            ("-1", "is '-1',"),
            ("+1", r"is '\+1',"),
            ("", "is empty,"),
            (" \n", "is empty,"),
            ("seven", "is 'seven',"),
            ("0x", "is '0x',"),
            ("0xg", "is '0xg',"),
            ("ff", "is 'ff',"),
            ("1_000", "is '1_000',"),
            ("1e3", "is '1e3',"),
            ("1.0", "is '1.0',"),
            ("٣", "is '٣',"),
            (1.0, "is 1.0,"),
            (True, "is True,"),
            (None, "is None,"),
            ([7], r"is \[7\],"),
            (b"7", "is b'7',"),
            (MAX_TOKEN_ID + 1, "is 115792089"),
            (str(MAX_TOKEN_ID + 1), "is '115792089"),
            (hex(MAX_TOKEN_ID + 1), "is '0x10000000"),
            ("{{ params.token }}", "is '{{ params.token }}',"),
        ],
        ids=str,
    )
    def test_anything_else_is_refused_and_shown(self, value: Any, shown: str) -> None:
        with pytest.raises(AlchemyTokenIdError, match=rf"argument 'mine' {shown}.* is no token id"):
            read_token_id(value, "mine")

    @pytest.mark.parametrize("value", [10**5000, "9" * 5000, ["x" * 5000], [10**5000]], ids=["int", "text", "a", "b"])
    def test_a_huge_one_is_refused_in_a_short_text(self, value: Any) -> None:
        with pytest.raises(AlchemyTokenIdError) as caught:
            read_token_id(value)

        assert len(str(caught.value)) < 400

    def test_a_refusal_is_an_argument_error(self) -> None:
        assert issubclass(AlchemyTokenIdError, AlchemyArgumentError)


class TestMoments:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-22T10:00:00.100000+00:00",
            "2026-11-22 10:00:00.1+00:00",
            "2026-11-22 10:00:00.1Z",
            " 2026-11-22T12:00:00.1+02:00 ",
            "20261122T100000.1Z",
        ],
    )
    def test_a_text_in_any_of_its_forms_is_read(self, text: str) -> None:
        assert read_fresh_since(text) == SINCE.add(microseconds=100_000)

    def test_an_aware_datetime_is_taken_in_utc(self) -> None:
        moment = read_fresh_since(datetime(2026, 11, 22, 5, tzinfo=pendulum.timezone("America/New_York")))

        assert (moment, moment.isoformat()) == (SINCE, "2026-11-22T10:00:00+00:00")

    @given(st.datetimes(timezones=st.timezones()))
    def test_any_aware_datetime_is_read_or_refused_with_advice(self, moment: datetime) -> None:
        try:
            read = read_fresh_since(moment)
        except AlchemyArgumentError as error:
            assert "Write a moment with its time zone" in str(error)  # noqa: PT017 - most are read
        else:
            # Not the moments: in an hour that a clock shows twice, Python takes no two of them for equal.
            assert read.timestamp() == moment.timestamp()

    @given(st.text())
    def test_any_text_is_read_or_refused_with_advice(self, text: str) -> None:
        try:
            assert read_fresh_since(text).tzinfo is not None
        except AlchemyArgumentError as error:
            assert "Write a moment with its time zone" in str(error)  # noqa: PT017 - nearly none is read

    def test_five_minutes_ahead_is_the_farthest(self) -> None:
        check_not_ahead(SINCE, SINCE - MAX_CLOCK_AHEAD)

        with pytest.raises(AlchemyArgumentError, match="in the future"):
            check_not_ahead(SINCE.add(seconds=1), SINCE - MAX_CLOCK_AHEAD)


EXPECTED = "expected a list of things"


def read(value: Any) -> list[Any]:
    return read_items(value, "things", EXPECTED)


@pytest.mark.parametrize(
    "value",
    [["a", 1], ("a", 1), iter(["a", 1]), {"a": 0, 1: 0}.keys(), '["a", 1]', "['a', 1]", "('a', 1)", " ['a', 1,]\n"],
    ids=["list", "tuple", "iterator", "keys", "JSON", "Python list", "Python tuple", "spaces at the ends"],
)
def test_each_form_gives_the_items_as_they_are(value: Any) -> None:
    assert read(value) == ["a", 1]


@pytest.mark.parametrize("text", ["a,b", "a b", "a;b", "a, b", "\ta\r\n b ", ",a,,b,", "a ; b;"])
def test_a_text_is_split_at_commas_semicolons_and_spaces(text: str) -> None:
    assert read(text) == ["a", "b"]


def test_a_text_of_one_item_is_a_list_of_it() -> None:
    assert read("7") == ["7"]


def test_items_are_not_checked() -> None:
    assert read([None, "", [], 1.5]) == [None, "", [], 1.5]


@pytest.mark.parametrize("value", [None, 5, 1.5, True, b"a", bytearray(b"a"), {"a": 1}, object], ids=repr)
def test_what_is_no_list_is_refused_by_name(value: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match=r"argument 'things' is .* and no list; expected a list of things"):
        read(value)


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_text_is_refused_because_a_template_may_have_rendered_to_nothing(text: str) -> None:
    with pytest.raises(AlchemyArgumentError, match="argument 'things' is empty, or its template rendered to nothing"):
        read(text)


@pytest.mark.parametrize(
    "text",
    ["[", "[1, 2", "(1", "[f(x)]", "[1] + [2]", '{"a": 1}', "(1)", "(" * 5000, "[" * 100_000, f"[{'9' * 5000}]"],
    ids=lambda text: text[:20],
)
def test_a_text_that_begins_like_a_list_is_never_split(text: str) -> None:
    with pytest.raises(AlchemyArgumentError, match="begins like a list but is none"):
        read(text)


@given(text=st.text(max_size=30) | st.text("[](){}'\",:10aN ", max_size=12))
def test_any_text_is_a_list_or_an_argument_error(text: str) -> None:
    with suppress(AlchemyArgumentError):
        assert isinstance(read(text), list)


def test_an_xcom_of_none_is_explained() -> None:
    with pytest.raises(AlchemyArgumentError, match="one that was skipped or pushed nothing leaves None"):
        read(None)


def test_a_whole_result_in_place_of_its_list_is_explained() -> None:
    with pytest.raises(AlchemyArgumentError, match=r"Take the key that holds the list"):
        read({"finished": []})


@pytest.mark.parametrize("whole", [{"things": [1, "2"]}, "{'things': [1, '2'], 'more': None}", {"things": "1 2"}])
def test_a_whole_result_is_taken_where_the_list_has_the_arguments_name(whole: Any) -> None:
    assert [str(item) for item in read_items(whole, "things", "expected a list")] == ["1", "2"]


class TestShown:
    def test_a_short_value_is_shown_whole(self) -> None:
        assert shown(["a", 1]) == "['a', 1]"

    def test_a_long_one_is_cut(self) -> None:
        assert shown("x" * 500) == f"'{'x' * 99}…"

    def test_one_that_python_cannot_write_is_no_crash(self) -> None:
        nested: list[Any] = []
        for _ in range(100_000):
            nested = [nested]

        assert shown(10**5000) == shown(nested) == "too large to show"


OTHER = "0xbc4ca0eda7647a8ab7c2061c2e118a18a936f13d"

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda digits: f"0x{digits.hex()}")
CONTRACTS = st.lists(ADDRESSES, min_size=1, max_size=30)
CASES: list[Callable[[str], str]] = [str, to_checksum_address, lambda text: "0x" + text[2:].upper()]
CONTRACT_FORMS: dict[str, Callable[[list[str]], Any]] = {
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


@pytest.mark.parametrize("form", CONTRACT_FORMS.values(), ids=CONTRACT_FORMS.keys())
class TestEveryFormOfContracts:
    @given(items=CONTRACTS)
    def test_it_gives_each_contract_once_in_the_order_of_the_first(self, form: Any, items: list[str]) -> None:
        assert read_contracts(form(items)).addresses == tuple(dict.fromkeys(items))

    @given(items=CONTRACTS)
    def test_what_is_left_out_is_counted(self, form: Any, items: list[str]) -> None:
        contracts = read_contracts(form(items))

        assert len(contracts.addresses) + contracts.duplicates == len(items)

    @given(address=ADDRESSES, spelling=st.lists(st.sampled_from(CASES), min_size=1, max_size=6))
    def test_another_letter_case_is_the_same_contract(
        self, form: Any, address: str, spelling: list[Callable[[str], str]]
    ) -> None:
        contracts = read_contracts(form([spell(address) for spell in spelling]))

        assert contracts == ContractList((address,), len(spelling) - 1)


@given(items=CONTRACTS)
def test_a_packed_list_is_unpacked_as_it_was(items: list[str]) -> None:
    assert unpack_addresses(pack_addresses(items)) == tuple(items)


def test_a_packed_list_takes_less_than_thirty_characters_an_address() -> None:
    assert len(pack_addresses(numbered(10_000))) < 300_000


@pytest.mark.parametrize("text", ["0xE9", "AAAA", "not base64!"])
def test_what_is_no_packed_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack_addresses(text)


@given(items=CONTRACTS, network=st.sampled_from(["eth-mainnet", "base-mainnet"]))
def test_contracts_have_the_same_digest_wherever_they_are_read(items: list[str], network: str) -> None:
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
def test_contracts_that_are_no_list_are_refused_by_name(value: Any, problem: str) -> None:
    with pytest.raises(AlchemyArgumentError) as caught:
        read_contracts(value)

    assert problem in str(caught.value)
    assert "expected a list of contract addresses" in str(caught.value)


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


def test_it_says_how_many_more_addresses_are_bad() -> None:
    with pytest.raises(
        AlchemyAddressError, match=r"contract_addresses\[1\] .*; 2 more of the addresses cannot be right"
    ):
        read_contracts([ADDRESS, "a", "b", OTHER, None])


def test_one_bad_address_is_the_only_one() -> None:
    with pytest.raises(AlchemyAddressError) as caught:
        read_contracts([ADDRESS, "a"])

    assert "more of the addresses" not in str(caught.value)


@given(good=CONTRACTS, bad=st.text(max_size=60).filter(lambda text: len(text.strip()) != 42), data=st.data())
def test_no_list_with_a_bad_address_gets_through(good: list[str], bad: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(good)))

    with pytest.raises(AlchemyAddressError) as caught:
        read_contracts([*good[:position], bad, *good[position:]])

    assert f"contract_addresses[{position}]" in str(caught.value)


def test_a_long_address_does_not_fill_the_log() -> None:
    with pytest.raises(AlchemyAddressError) as caught:
        read_contracts([numbered(1000)])

    assert len(str(caught.value)) < 500


def test_ten_thousand_contracts_are_taken() -> None:
    assert len(read_contracts(numbered(MAX_CONTRACTS)).addresses) == MAX_CONTRACTS


def test_one_more_is_refused_with_the_number() -> None:
    with pytest.raises(AlchemyArgumentError, match="names 10,001 different contracts; a task takes 10,000 at most"):
        read_contracts(numbered(MAX_CONTRACTS + 1))


def test_duplicates_do_not_count_towards_the_most() -> None:
    contracts = read_contracts(numbered(MAX_CONTRACTS) * 2)

    assert (len(contracts.addresses), contracts.duplicates) == (MAX_CONTRACTS, MAX_CONTRACTS)


class TestContractsThatAreNotKnownYet:
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


TOKEN_IDS = st.integers(0, 20) | st.integers(0, MAX_TOKEN_ID)
ID_LISTS = st.lists(TOKEN_IDS, max_size=30)
ID_SPELLINGS: list[Callable[[int], int | str]] = [int, str, hex, "0x{:064X}".format, " {} ".format]
TOKEN_FORMS: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "texts": lambda items: [str(item) for item in items],
    "hexadecimal texts": lambda items: [hex(item) for item in items],
    "JSON": json.dumps,
    "JSON of texts": lambda items: json.dumps([str(item) for item in items]),
    "Python list": str,
    "Python tuple": lambda items: str(tuple(items)),
    "commas": lambda items: ",".join(map(str, items)) or "[]",
    "hexadecimal lines": lambda items: "\n".join(map(hex, items)) or "[]",
    "semicolons and spaces": lambda items: " ; ".join(map(str, items)) or "[]",
}


@pytest.mark.parametrize("form", TOKEN_FORMS.values(), ids=TOKEN_FORMS.keys())
class TestEveryFormOfTokens:
    @given(items=ID_LISTS)
    def test_it_gives_each_token_once_in_the_order_of_the_first(self, form: Any, items: list[int]) -> None:
        assert read_token_ids(form(items)).ids == tuple(dict.fromkeys(items))

    @given(items=ID_LISTS)
    def test_what_is_left_out_is_counted(self, form: Any, items: list[int]) -> None:
        tokens = read_token_ids(form(items))

        assert len(tokens.ids) + tokens.duplicates == len(items)


@given(token_id=TOKEN_IDS, spelling=st.lists(st.sampled_from(ID_SPELLINGS), min_size=1, max_size=6))
def test_another_spelling_is_the_same_token(token_id: int, spelling: list[Callable[[int], Any]]) -> None:
    tokens = read_token_ids([spell(token_id) for spell in spelling])

    assert tokens == TokenList((token_id,), len(spelling) - 1)


def test_forms_may_be_mixed() -> None:
    assert read_token_ids([3, "4", "0x5", "3", "0x04", 5]) == TokenList((3, 4, 5), 3)


@pytest.mark.parametrize("value", [[], (), "[]", "()", ",", range(0)], ids=repr)
def test_an_empty_list_is_one_because_nothing_may_have_been_minted(value: Any) -> None:
    assert read_token_ids(value) == TokenList(())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "argument 'token_ids' is None and no list"),
        (7, "argument 'token_ids' is 7 and no list"),
        ({"tokens": [1]}, "and no list"),
        ("", "argument 'token_ids' is empty, or its template rendered to nothing"),
        ("[1, 2", "begins like a list but is none"),
    ],
    ids=str,
)
def test_tokens_that_are_no_list_are_refused_by_name(value: Any, problem: str) -> None:
    with pytest.raises(AlchemyArgumentError) as caught:
        read_token_ids(value)

    assert problem in str(caught.value)
    assert "expected a list of token ids" in str(caught.value)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (-1, "is -1, which is no token id"),
        ("-1", "is '-1', which is no token id"),
        ("", "is empty, which is no token id"),
        ("dragon", "is 'dragon', which is no token id"),
        (1.5, "is 1.5, which is no token id"),
        (True, "is True, which is no token id"),
        (None, "is None, which is no token id"),
        ([1], "is [1], which is no token id"),
        (MAX_TOKEN_ID + 1, "which is no token id; expected a whole number from 0 to 2^256 - 1"),
        (10**5000, "is too large to show, which is no token id"),
        ([10**5000], "is too large to show, which is no token id"),
    ],
    ids=range(11),
)
def test_a_bad_id_is_named_with_its_position(item: Any, problem: str) -> None:
    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([*range(17), item, *range(982)])

    assert str(caught.value).startswith("token_ids[17] (number 18 of 1,000) is ")
    assert problem in str(caught.value)


def test_it_says_how_many_more_ids_are_bad() -> None:
    with pytest.raises(AlchemyTokenIdError, match=r"token_ids\[1\] .*; 2 more of the ids cannot be right"):
        read_token_ids([1, "a", "b", 2, None])


def test_one_bad_id_is_the_only_one() -> None:
    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([1, "a"])

    assert "more of the ids" not in str(caught.value)


@given(good=ID_LISTS, bad=st.text("0123456789abcdef-x.", max_size=12).filter(lambda text: "-" in text), data=st.data())
def test_no_list_with_a_bad_id_gets_through(good: list[int], bad: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(good)))

    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([*good[:position], bad, *good[position:]])

    assert f"token_ids[{position}]" in str(caught.value)


def test_a_long_id_does_not_fill_the_log() -> None:
    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([list(range(10_000))])

    assert len(str(caught.value)) < 500


class TestTokensThatAreNotKnownYet:
    @staticmethod
    def is_unknown(item: Any) -> bool:
        return bool(item == "{{ later }}")

    def test_they_are_left_out(self) -> None:
        assert read_token_ids(["{{ later }}", 7], self.is_unknown) == TokenList((7,))

    def test_positions_count_them(self) -> None:
        with pytest.raises(AlchemyTokenIdError, match=r"token_ids\[2\] \(number 3 of 3\)"):
            read_token_ids(["{{ later }}", 7, "x"], self.is_unknown)


@given(items=ID_LISTS)
def test_tokens_have_the_same_digest_wherever_they_are_read(items: list[int]) -> None:
    assert read_token_ids(items).digest() == read_token_ids(str(items)).digest()


def test_other_tokens_have_another_digest() -> None:
    lists_of_ids = [(), (1,), (12,), (1, 2), (2, 1), (1, 2, 3), (12, 3)]

    assert len({TokenList(ids).digest() for ids in lists_of_ids}) == len(lists_of_ids)


class TestPackedIds:
    @given(items=st.lists(TOKEN_IDS, unique=True, max_size=60))
    def test_distinct_ids_are_unpacked_as_they_were(self, items: list[int]) -> None:
        assert unpack_ids(pack_ids(items)) == tuple(items)

    @given(items=ID_LISTS)
    def test_ids_that_are_named_again_are_kept_too(self, items: list[int]) -> None:
        assert unpack_ids(pack_ids(items)) == tuple(items)

    @given(starts=st.lists(TOKEN_IDS.map(lambda start: min(start, MAX_TOKEN_ID - 50)), max_size=5))
    def test_runs_are_unpacked_as_they_were(self, starts: list[int]) -> None:
        items = [token_id for start in starts for token_id in range(start, start + 50)]

        assert unpack_ids(pack_ids(items)) == tuple(items)

    def test_a_run_takes_its_two_ends(self) -> None:
        assert pack_ids([*range(100), 250, 4095, 4096]) == "0-63,fa,fff-1000"

    def test_ten_thousand_in_a_row_take_a_few_characters(self) -> None:
        assert len(pack_ids(range(10_000))) < 10

    def test_no_ids_are_an_empty_text(self) -> None:
        assert (pack_ids([]), unpack_ids("")) == ("", ())

    @pytest.mark.parametrize("text", ["x", "1 2", "-5", "5-3", "5--2", "1,2-1"])
    def test_what_is_no_packed_list_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            unpack_ids(text)
