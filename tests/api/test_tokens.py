# SPDX-License-Identifier: Apache-2.0
"""Token ids, moments and the reasons for missing metadata: what is taken, what is refused, what proves something."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pendulum import UTC, DateTime, datetime, now, parse

from airflow_provider_alchemy.api.endpoints import read_time
from airflow_provider_alchemy.api.errors import AlchemyArgumentError, AlchemyTokenIdError
from airflow_provider_alchemy.api.inputs import LARGEST_TOKEN_ID, read_token_id
from airflow_provider_alchemy.api.models import MetadataError, Token, TokenMetadata

from .shells import LOWER

TOKEN = Token(LOWER, 7)
MOMENT = datetime(2026, 11, 5, 12)

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

ids = st.integers(0, LARGEST_TOKEN_ID) | st.integers(0, 300)


class TestATokenId:
    @given(token_id=ids)
    def test_each_form_is_the_same_id(self, token_id: int) -> None:
        forms = [token_id, str(token_id), hex(token_id), f"0X{token_id:X}", f"0x{token_id:064x}", f" {token_id:09}\n"]

        assert {read_token_id(form) for form in forms} == {token_id}

    @given(text=st.text(max_size=8) | st.from_regex(r"[0-9a-fx\-+_ .]{0,8}", fullmatch=True))
    def test_any_text_is_an_id_in_range_or_an_error(self, text: str) -> None:
        with suppress(AlchemyTokenIdError):
            assert 0 <= read_token_id(text) <= LARGEST_TOKEN_ID

    @pytest.mark.parametrize("text", ["255", "0xff", "0XFF", "0x00FF", " 255 "])
    def test_a_text_is_read_by_its_prefix(self, text: str) -> None:
        assert read_token_id(text) == 255

    @pytest.mark.parametrize("value", [LARGEST_TOKEN_ID, str(LARGEST_TOKEN_ID), hex(LARGEST_TOKEN_ID)], ids=type)
    def test_the_largest_is_taken(self, value: Any) -> None:
        assert read_token_id(value) == LARGEST_TOKEN_ID

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
            (LARGEST_TOKEN_ID + 1, "is 115792089"),
            (str(LARGEST_TOKEN_ID + 1), "is '115792089"),
            (hex(LARGEST_TOKEN_ID + 1), "is '0x10000000"),
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

    def test_it_can_be_asked_what_pendulum_can(self) -> None:
        assert isinstance(read_time("2026-11-05T12:00:00Z"), DateTime)

    @pytest.mark.parametrize("text", ["2026-11-05T12:00:00.9999999Z", "2026-11-05T12:00:00.9999999"])
    def test_parts_of_microseconds_are_cut_and_never_rounded_up(self, text: str) -> None:
        assert read_time(text) == MOMENT.add(microseconds=999_999)

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
        assert TokenMetadata(token=TOKEN, time_last_updated=MOMENT.add(microseconds=1)).is_newer_than(MOMENT)

    def test_the_same_time_is_none(self) -> None:
        assert not TokenMetadata(token=TOKEN, time_last_updated=MOMENT).is_newer_than(MOMENT)

    def test_an_earlier_time_is_none(self) -> None:
        earlier = MOMENT.subtract(seconds=1)

        assert not TokenMetadata(token=TOKEN, time_last_updated=earlier).is_newer_than(MOMENT)

    def test_no_time_is_none(self) -> None:
        assert not TokenMetadata(token=TOKEN, time_last_updated=None).is_newer_than(MOMENT)

    @pytest.mark.parametrize("error", MetadataError)
    def test_a_later_time_with_an_error_is_none(self, error: MetadataError) -> None:
        later = TokenMetadata(token=TOKEN, time_last_updated=MOMENT.add(hours=1), error=error)

        assert not later.is_newer_than(MOMENT)

    def test_a_time_far_in_the_future_is_none(self) -> None:
        assert not TokenMetadata(token=TOKEN, time_last_updated=now("UTC").add(hours=2)).is_newer_than(MOMENT)

    def test_the_service_s_clock_may_be_ahead(self) -> None:
        assert TokenMetadata(token=TOKEN, time_last_updated=now("UTC").add(minutes=10)).is_newer_than(MOMENT)

    def test_times_in_different_zones_are_compared_as_moments(self) -> None:
        elsewhere = parse("2026-11-05T21:00:00+09:00")

        assert isinstance(elsewhere, DateTime)
        assert not TokenMetadata(token=TOKEN, time_last_updated=MOMENT).is_newer_than(elsewhere)
