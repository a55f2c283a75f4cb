# SPDX-License-Identifier: Apache-2.0
"""States, addresses, networks and progress: what is accepted, and what it becomes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.endpoints import read_progress
from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError, ErrorKind
from airflow_provider_alchemy.api.inputs import read_contract_address, read_network
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus

from .shells import ADDRESS, LOWER

BYTES_20 = st.binary(min_size=20, max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def status_in(state: RefreshState) -> RefreshStatus:
    return RefreshStatus(contract_address=LOWER, network="eth-mainnet", state=state)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("does_not_exist", RefreshState.DOES_NOT_EXIST),
        ("queued", RefreshState.QUEUED),
        ("already_queued", RefreshState.ALREADY_QUEUED),
        ("already_queried", RefreshState.ALREADY_QUEUED),
        ("in_progress", RefreshState.IN_PROGRESS),
        ("finished", RefreshState.FINISHED),
        ("queue_failed", RefreshState.QUEUE_FAILED),
    ],
)
def test_each_documented_state_is_read(text: str, state: RefreshState) -> None:
    assert RefreshState.read(text) is state


@pytest.mark.parametrize(
    "text",
    ["warming_up", "unknown", "FINISHED", "Finished", " finished", "finished\n", "finished.", "", "fin\u0131shed"],
)
def test_any_other_text_is_the_unknown_state(text: str) -> None:
    assert RefreshState.read(text) is RefreshState.UNKNOWN


@given(st.text())
def test_only_the_exact_text_finished_is_read_as_finished(text: str) -> None:
    assume(text != "finished")
    assert RefreshState.read(text) is not RefreshState.FINISHED


@pytest.mark.parametrize("state", [RefreshState.DOES_NOT_EXIST, RefreshState.QUEUE_FAILED])
def test_a_refresh_that_could_not_be_done_has_failed(state: RefreshState) -> None:
    status = status_in(state)
    assert (status.is_failed, status.is_finished, status.is_pending) == (True, False, False)


@pytest.mark.parametrize(
    "state", [RefreshState.QUEUED, RefreshState.ALREADY_QUEUED, RefreshState.IN_PROGRESS, RefreshState.UNKNOWN]
)
def test_a_refresh_that_runs_or_says_something_unknown_is_pending(state: RefreshState) -> None:
    status = status_in(state)
    assert (status.is_failed, status.is_finished, status.is_pending) == (False, False, True)


def test_a_finished_refresh_is_neither_pending_nor_failed() -> None:
    status = status_in(RefreshState.FINISHED)
    assert (status.is_failed, status.is_finished, status.is_pending) == (False, True, False)


def test_a_status_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        status_in(RefreshState.QUEUED).state = RefreshState.FINISHED  # type: ignore[misc]


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


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (None, None),
        (0, 0),
        (5, 5),
        ("5", 5),
        ("5%", 5),
        (" 5 % ", 5),
        ("", None),
        ("0", 0),
        (100, 100),
        ("100%", 100),
        (12.5, 12.5),
        ("12.5%", 12.5),
        (-1, None),
        (101, None),
        ("101%", None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        ("nan", None),
        ("half", None),
        ([5], None),
        ({}, None),
    ],
    ids=repr,
)
def test_progress_is_read_in_each_form_that_was_seen(value: Any, progress: float | None) -> None:
    assert read_progress(value) == progress


@pytest.mark.parametrize("value", [5, "5", "5%", 5.0, "5.0"], ids=repr)
def test_a_whole_percentage_is_an_int(value: Any) -> None:
    assert type(read_progress(value)) is int


@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["a huge int", "a huge negative int"])
def test_a_huge_progress_is_none(value: int) -> None:
    assert read_progress(value) is None


@given(ANYTHING)
def test_any_progress_is_none_or_from_0_to_100(value: Any) -> None:
    progress = read_progress(value)
    assert progress is None or 0 <= progress <= 100
