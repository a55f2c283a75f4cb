# SPDX-License-Identifier: Apache-2.0
"""What the service's values are read as: states, progress, times, reasons for missing metadata, and proofs."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.endpoints import read_progress, read_time
from airflow_provider_alchemy.api.errors import AlchemyNoSuchCollectionError
from airflow_provider_alchemy.api.models import (
    ContractMetadata,
    MetadataError,
    RefreshState,
    RefreshStatus,
    Token,
    TokenMetadata,
)

from .shells import LOWER

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
TOKEN = Token(LOWER, 7)
MOMENT = datetime(2026, 11, 5, 12, tzinfo=UTC)

DOCUMENTED = {
    "Token uri responded with a non 200 response code": (MetadataError.URI_NOT_OK, False),
    "Throttled token uri": (MetadataError.URI_THROTTLED, False),
    "IPFS gateway timed out": (MetadataError.IPFS_TIMEOUT, False),
    "Centralized gateway timed out, try again with a higher tokenUri timeout": (
        MetadataError.CENTRALIZED_TIMEOUT,
        False,
    ),
    "ArWeave gateway timed out": (MetadataError.ARWEAVE_TIMEOUT, False),
    "Internal service": (MetadataError.INTERNAL, False),
    "Contract does not have any code": (MetadataError.NO_CODE, True),
    "Contract returned a broken token uri, do not retry": (MetadataError.BROKEN_URI, True),
    "Malformed token uri": (MetadataError.MALFORMED_URI, True),
    "Token does not exist": (MetadataError.NO_SUCH_TOKEN, True),
    "Failed to get token uri": (MetadataError.NO_URI, True),
    "Bad Token URI": (MetadataError.BAD_URI, True),
}
"""Each text of ``raw.error`` in Alchemy's API reference, and whether it is final."""


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


class TestATime:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-05T12:00:00.000Z",
            "2026-11-05T12:00:00Z",
            "2026-11-05T12:00:00+00:00",
            "2026-11-05T14:00:00+02:00",
            "2026-11-05T04:00:00.000-08:00",
            "2026-11-05 12:00:00Z",
            " 2026-11-05T12:00:00Z\n",
        ],
    )
    def test_each_form_is_the_same_moment(self, text: str) -> None:
        assert read_time(text) == MOMENT

    def test_it_is_in_utc(self) -> None:
        moment = read_time("2026-11-05T14:00:00+02:00")

        assert moment is not None
        assert (moment.tzinfo, moment.isoformat()) == (UTC, "2026-11-05T12:00:00+00:00")

    def test_one_without_a_zone_is_in_utc(self) -> None:
        assert read_time("2026-11-05T12:00:00") == MOMENT

    @pytest.mark.parametrize("text", ["2026-11-05T12:00:00.9999999Z", "2026-11-05T12:00:00.9999999"])
    def test_parts_of_microseconds_are_cut_and_never_rounded_up(self, text: str) -> None:
        assert read_time(text) == MOMENT + timedelta(microseconds=999_999)

    @pytest.mark.parametrize(
        "value",
        [
            *(None, "", " ", "yesterday", "12:00", "2026-13-01T00:00:00Z", "2026-11-05T25:00:00Z", "\ud800"),
            *("9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", "9" * 5000),
            *(1_762_344_000, 1_762_344_000_000.0, True, [], {"seconds": 5}, ["2026-11-05T12:00:00Z"]),
        ],
        ids=lambda value: ascii(value)[:30],
    )
    def test_anything_else_is_none(self, value: Any) -> None:
        assert read_time(value) is None

    @given(text=st.text(max_size=40) | st.from_regex(r"[0-9TZW:+\-. ]{0,30}", fullmatch=True))
    def test_any_text_is_an_aware_moment_or_none(self, text: str) -> None:
        moment = read_time(text)

        assert moment is None or moment.utcoffset() == timedelta(0)

    @given(moment=st.datetimes(timezones=st.just(UTC)))
    def test_any_moment_is_read_as_it_was_written(self, moment: Any) -> None:
        assert read_time(moment.isoformat()) == moment


class TestAMetadataError:
    @pytest.mark.parametrize(("text", "error"), [(text, error) for text, (error, _) in DOCUMENTED.items()])
    def test_each_documented_text_is_known(self, text: str, error: MetadataError) -> None:
        assert MetadataError.read(text) is error

    @pytest.mark.parametrize(("error", "is_final"), DOCUMENTED.values())
    def test_it_is_final_where_the_reference_says_so(self, error: MetadataError, is_final: bool) -> None:
        assert error.is_final is is_final

    def test_each_has_a_documented_text_but_the_unknown_one(self) -> None:
        assert set(MetadataError) == {error for error, _ in DOCUMENTED.values()} | {MetadataError.UNKNOWN}

    @pytest.mark.parametrize("text", DOCUMENTED)
    def test_letter_case_spaces_and_more_words_do_not_matter(self, text: str) -> None:
        changed = f"  {text.upper().replace(' ', '  ')}. See https://example.com"

        assert MetadataError.read(changed) is MetadataError.read(text)

    @pytest.mark.parametrize("text", ["Contract is on fire", "", "Token", "The token does not exist"])
    def test_another_text_is_unknown(self, text: str) -> None:
        assert MetadataError.read(text) is MetadataError.UNKNOWN

    def test_the_unknown_one_is_worth_another_try(self) -> None:
        assert not MetadataError.UNKNOWN.is_final

    def test_its_words_are_a_part_of_results_and_do_not_change(self) -> None:
        assert [str(error) for error in MetadataError] == [
            *("token_uri_not_ok", "token_uri_throttled", "ipfs_timeout", "centralized_timeout", "arweave_timeout"),
            *("internal", "contract_without_code", "broken_token_uri", "malformed_token_uri", "no_such_token"),
            *("no_token_uri", "bad_token_uri", "unknown_error"),
        ]


class TestAProof:
    def test_a_later_time_without_an_error_is_one(self) -> None:
        assert TokenMetadata(token=TOKEN, time_last_updated=MOMENT + timedelta(microseconds=1)).is_newer_than(MOMENT)

    def test_the_same_time_is_none(self) -> None:
        assert not TokenMetadata(token=TOKEN, time_last_updated=MOMENT).is_newer_than(MOMENT)

    def test_an_earlier_time_is_none(self) -> None:
        earlier = MOMENT - timedelta(seconds=1)

        assert not TokenMetadata(token=TOKEN, time_last_updated=earlier).is_newer_than(MOMENT)

    def test_no_time_is_none(self) -> None:
        assert not TokenMetadata(token=TOKEN, time_last_updated=None).is_newer_than(MOMENT)

    @pytest.mark.parametrize("error", MetadataError)
    def test_a_later_time_with_an_error_is_none(self, error: MetadataError) -> None:
        later = TokenMetadata(token=TOKEN, time_last_updated=MOMENT + timedelta(hours=1), error=error)

        assert not later.is_newer_than(MOMENT)

    def test_a_time_far_in_the_future_is_none(self) -> None:
        assert not TokenMetadata(token=TOKEN, time_last_updated=datetime.now(UTC) + timedelta(hours=2)).is_newer_than(
            MOMENT
        )

    def test_the_service_s_clock_may_be_ahead(self) -> None:
        assert TokenMetadata(token=TOKEN, time_last_updated=datetime.now(UTC) + timedelta(minutes=10)).is_newer_than(
            MOMENT
        )

    def test_times_in_different_zones_are_compared_as_moments(self) -> None:
        elsewhere = datetime.fromisoformat("2026-11-05T21:00:00+09:00")

        assert not TokenMetadata(token=TOKEN, time_last_updated=MOMENT).is_newer_than(elsewhere)


@pytest.mark.parametrize("token_type", ["NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"])
def test_a_contract_without_tokens_is_no_collection(token_type: str) -> None:
    metadata = ContractMetadata(contract_address=LOWER, network="eth-mainnet", token_type=token_type)
    with pytest.raises(AlchemyNoSuchCollectionError, match=f"collection 0x: .*{token_type}"):
        metadata.check_is_collection("collection 0x")


@pytest.mark.parametrize("token_type", ["ERC721", "ERC1155", None, "ERC404"])
def test_a_contract_that_may_have_tokens_is_a_collection(token_type: str | None) -> None:
    ContractMetadata(contract_address=LOWER, network="eth-mainnet", token_type=token_type).check_is_collection("x")
