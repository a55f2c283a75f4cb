# SPDX-License-Identifier: Apache-2.0
"""Tokens that share a fate: what an answer makes of them, and how they are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pendulum import UTC, DateTime

from airflow_provider_alchemy.api.inputs import MAX_TOKEN_ID
from airflow_provider_alchemy.api.models import MetadataError, Token, TokenMetadata
from airflow_provider_alchemy.api.token_groups import MISSING, STALE, TokenGroup, count, judge, read_groups, regroup

ASKED_AT = 1_700_000_000.2504
GROUP = TokenGroup("", 0, ASKED_AT)

token_ids = st.lists(st.integers(0, MAX_TOKEN_ID) | st.integers(0, 50), unique=True)


def metadata(after: float | None, error: MetadataError | None = None) -> TokenMetadata:
    moment = None if after is None else DateTime.fromtimestamp(ASKED_AT + after, UTC)
    return TokenMetadata(token=Token("0xabc", 1), time_last_updated=moment, error=error)


class TestTheVerdict:
    @pytest.mark.parametrize(
        ("after", "reason"),
        [(0.001, ""), (3600, ""), (-0.001, STALE), (-3600, STALE), (-1e9, STALE), (None, STALE)],
    )
    def test_only_later_metadata_is_a_proof(self, after: float | None, reason: str) -> None:
        assert judge(GROUP, metadata(after)).reason == reason

    def test_a_time_that_was_cut_to_the_millisecond_of_the_request_is_a_proof(self) -> None:
        assert judge(GROUP, metadata(-0.0004)).reason == ""

    def test_without_a_request_nothing_is_a_proof(self) -> None:
        assert judge(TokenGroup("", 0), metadata(3600)).reason == STALE

    @pytest.mark.parametrize("error", MetadataError)
    def test_an_error_is_no_proof_whatever_the_time_says(self, error: MetadataError) -> None:
        known = judge(GROUP, metadata(3600, error))

        assert (known.reason, known.is_final) == (error.value, error.is_final)

    def test_a_token_that_the_answer_leaves_out_is_missing(self) -> None:
        known = judge(GROUP, None)

        assert (known.reason, known.is_final, known.asked_at) == (MISSING, False, ASKED_AT)

    def test_when_it_was_asked_for_and_queued_stays_known(self) -> None:
        known = judge(TokenGroup("", 0, ASKED_AT, ASKED_AT + 5, "ipfs_timeout"), metadata(-1))

        assert known == TokenGroup("", 0, ASKED_AT, ASKED_AT + 5, STALE)


class TestGroups:
    @given(token_ids, st.integers(1, 120))
    def test_a_split_loses_nothing(self, ids: list[int], most: int) -> None:
        group = TokenGroup.of(ids, asked_at=ASKED_AT, reason=STALE)

        first, rest = group.split(most)

        assert [*first.token_ids, *(rest.token_ids if rest else ())] == ids
        assert (first.count, rest.count if rest else 0) == (min(most, len(ids)), max(len(ids) - most, 0))
        assert {first.reason, rest.reason if rest else STALE} == {STALE}

    @given(token_ids)
    def test_it_crosses_a_database(self, ids: list[int]) -> None:
        group = TokenGroup.of(ids, asked_at=ASKED_AT, queued_at=ASKED_AT + 1, reason=STALE, is_final=True)

        assert read_groups(json.loads(json.dumps([group.to_list()]))) == [group]

    @given(st.lists(token_ids.filter(bool), max_size=4), st.integers(1, 5))
    def test_putting_together_anew_loses_nothing(self, lists: list[list[int]], kinds: int) -> None:
        def known_of(token_id: int, group: TokenGroup) -> TokenGroup:
            return TokenGroup("", 0, group.asked_at, reason=f"reason {token_id % kinds}")

        groups = regroup([TokenGroup.of(ids, asked_at=number) for number, ids in enumerate(lists)], known_of)

        told = [(group.asked_at, token_id, group.reason) for group in groups for token_id in group.token_ids]
        wanted = [
            (number, token_id, f"reason {token_id % kinds}") for number, ids in enumerate(lists) for token_id in ids
        ]
        assert sorted(told, key=str) == sorted(wanted, key=str)
        assert count(groups) == len(wanted)

    def test_tokens_of_the_same_fate_are_one_group(self) -> None:
        groups = regroup([TokenGroup.of([0, 1]), TokenGroup.of([2])], lambda _, group: judge(group, None))

        assert groups == [TokenGroup("0-2", 3, reason=MISSING)]

    @pytest.mark.parametrize("value", [None, 5, [None], [[1, 2, 3, 4, 5, 6, 7]], [5]])
    def test_what_is_no_list_of_groups_is_refused(self, value: Any) -> None:
        with pytest.raises(TypeError):
            read_groups(value)
