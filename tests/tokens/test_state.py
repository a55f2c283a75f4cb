# SPDX-License-Identifier: Apache-2.0
"""The state of a collection's refresh: what proves a token, the stages, and that no token is lost or counted twice."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_alchemy.api.inputs import MAX_TOKEN_ID
from airflow_provider_alchemy.api.models import MetadataError, Token, TokenMetadata
from airflow_provider_alchemy.defaults import MIN_SECONDS_BETWEEN_ATTEMPTS
from airflow_provider_alchemy.tokens.proof import (
    MISSING,
    QUEUE_RULE,
    STALE,
    Chunk,
    TokenSet,
    count,
    regroup,
    unproven_reason,
)
from airflow_provider_alchemy.tokens.state import CollectionState, Method, Stage

ASKED_AT = datetime.fromtimestamp(1_700_000_000.2504, UTC)
NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
INTERVAL = 10.0
SECOND = timedelta(seconds=1)

THROTTLED, GONE = "token_uri_throttled", "no_such_token"
REASONS = ("", STALE, THROTTLED, GONE)
token_ids = st.lists(st.integers(0, MAX_TOKEN_ID) | st.integers(0, 50), unique=True)


def state_of(tokens: int = 0, method: Method = Method.BATCH, **known: Any) -> CollectionState:
    state = CollectionState.begin("0xabc", "eth-mainnet", method)
    for name, value in known.items():
        setattr(state, name, value)
    state.add_tokens(range(tokens))
    state.is_read = known.get("is_read", True)
    return state


def ids(token_sets: Any) -> list[int]:
    return [token_id for tokens in token_sets for token_id in tokens.token_ids]


def taken(state: CollectionState, size: int = 100) -> Chunk:
    chunk = state.next_chunk(size)
    assert chunk is not None
    return chunk


def complete_all(state: CollectionState, reason: str, queued_at: datetime | None = None) -> None:
    while (chunk := state.next_chunk()) is not None:
        found = ids(chunk.token_sets)
        state.complete(chunk, [TokenSet.of(found, asked_at=NOW, queued_at=queued_at, reason=reason)])


def restored(state: CollectionState) -> CollectionState:
    again = CollectionState.from_dict(json.loads(json.dumps(state.to_dict())))
    assert again is not None
    return again


class TestTheProof:
    @pytest.mark.parametrize(
        ("after_seconds", "reason"),
        [(0.001, ""), (3600, ""), (-0.0004, ""), (-0.001, STALE), (-3600, STALE), (-1e9, STALE), (None, STALE)],
    )
    def test_only_metadata_newer_than_the_millisecond_of_the_request_is_one(
        self, after_seconds: float | None, reason: str
    ) -> None:
        assert unproven_reason(metadata(after_seconds), ASKED_AT) == reason

    def test_without_a_request_nothing_is_one(self) -> None:
        assert unproven_reason(metadata(3600), None) == STALE

    @pytest.mark.parametrize("error", MetadataError)
    def test_an_error_is_none_whatever_the_time_says(self, error: MetadataError) -> None:
        reason = unproven_reason(metadata(3600, error), ASKED_AT)

        assert (reason, TokenSet("0", 1, reason=reason).is_final) == (error.value, error.is_final)

    def test_a_token_that_the_answer_leaves_out_has_none(self) -> None:
        assert (unproven_reason(None, ASKED_AT), TokenSet("0", 1, reason=MISSING).is_final) == (MISSING, False)


def metadata(after_seconds: float | None, error: MetadataError | None = None) -> TokenMetadata:
    moment = None
    if after_seconds is not None:
        moment = datetime.fromtimestamp(ASKED_AT.timestamp() + after_seconds, UTC)
    return TokenMetadata(token=Token("0xabc", 1), time_last_updated=moment, error=error)


class TestTokenSets:
    @given(token_ids, st.integers(1, 120))
    def test_a_split_loses_nothing(self, found: list[int], size: int) -> None:
        first, rest = TokenSet.of(found, asked_at=ASKED_AT, reason=STALE).split(size)

        assert [*first.token_ids, *(rest.token_ids if rest else ())] == found
        assert (first.count, rest.count if rest else 0) == (min(size, len(found)), max(len(found) - size, 0))
        assert {first.reason, rest.reason if rest else STALE} == {STALE}

    @given(st.lists(token_ids.filter(bool), max_size=4), st.integers(1, 5))
    def test_regrouping_loses_nothing(self, lists: list[list[int]], kinds: int) -> None:
        moments = [ASKED_AT + number * SECOND for number in range(len(lists))]
        sets = [TokenSet.of(found, asked_at=moment) for moment, found in zip(moments, lists, strict=True)]

        known = regroup(sets, lambda token_id, _: f"reason {token_id % kinds}")

        seen = [(tokens.asked_at, token_id, tokens.reason) for tokens in known for token_id in tokens.token_ids]
        wanted = [
            (moment, token_id, f"reason {token_id % kinds}")
            for moment, found in zip(moments, lists, strict=True)
            for token_id in found
        ]
        assert sorted(seen, key=str) == sorted(wanted, key=str)
        assert count(known) == len(wanted)

    def test_tokens_of_which_the_same_is_known_are_one_set(self) -> None:
        known = regroup([TokenSet.of([0, 1], reason="x"), TokenSet.of([2])], lambda *_: MISSING)

        assert known == [TokenSet("0-2", 3, reason=MISSING)]


class TestTaking:
    def test_a_call_takes_a_hundred_from_as_many_sets_as_it_needs(self) -> None:
        state = state_of()
        for start in range(0, 270, 90):
            state.add_tokens(range(start, start + 90))

        chunks = [ids(taken(state).token_sets) for _ in range(3)]

        assert chunks == [list(range(100)), list(range(100, 200)), list(range(200, 270))]
        assert state.next_chunk() is None

    def test_fewer_are_taken_only_where_no_more_will_come(self) -> None:
        state = state_of(99, is_read=False)
        assert state.next_chunk() is None

        state.add_tokens([500])

        assert ids(taken(state).token_sets) == [*range(99), 500]

    def test_a_chunk_may_be_completed_in_part(self) -> None:
        state = state_of(250)
        first, _ = taken(state), taken(state)

        left = [TokenSet.of(range(90, 100))]
        state.complete(first, [TokenSet.of(range(60)), TokenSet.of(range(60, 90), reason=GONE)], left=left)

        assert (state.answered, state.remaining, state.refreshed, state.stale) == (90, 160, 60, 0)
        assert (ids(state.failed), ids(state.todo)) == (list(range(60, 90)), [*range(90, 100), *range(200, 250)])


class TestTheStages:
    @pytest.mark.parametrize(("reason", "failed"), [("", []), (GONE, [0, 1, 2])])
    def test_with_nothing_to_try_again_it_is_done(self, reason: str, failed: list[int]) -> None:
        state = state_of(3)
        complete_all(state, reason)

        state.end_stage(NOW, 3, INTERVAL)

        assert (state.stage, state.next_at, ids(state.failed)) == (Stage.DONE, NOW, failed)

    @pytest.mark.parametrize("reason", [STALE, THROTTLED, MISSING, "server_error"])
    def test_a_token_is_tried_as_often_as_allowed_with_the_interval_between(self, reason: str) -> None:
        state, seen = state_of(3), []
        for _ in range(3):
            complete_all(state, reason)
            state.end_stage(NOW, 3, INTERVAL)
            assert state.next_at is not None
            seen.append((state.stage, state.attempt, (state.next_at - NOW).total_seconds()))

        assert seen == [(Stage.REFRESH, 2, INTERVAL), (Stage.REFRESH, 3, INTERVAL), (Stage.DONE, 3, 0)]
        assert ids(state.failed) == [0, 1, 2]

    def test_queued_tokens_are_read_when_the_service_says(self) -> None:
        state = state_of(3, Method.QUEUE)
        assert state.stage is Stage.QUEUE
        complete_all(state, STALE, queued_at=NOW)
        state.estimated_seconds = 25.0

        state.end_stage(NOW, 3, INTERVAL)

        assert (state.stage, state.attempt, state.next_at) == (Stage.PROVE, 1, NOW + 25 * SECOND)
        assert state.estimated_seconds == 0

    @pytest.mark.parametrize(
        ("queued_at", "stage"), [(NOW, Stage.PROVE), (NOW - QUEUE_RULE, Stage.QUEUE), (None, Stage.QUEUE)]
    )
    def test_no_token_is_queued_twice_in_a_quarter_of_an_hour(self, queued_at: datetime | None, stage: Stage) -> None:
        state = state_of(3, Method.QUEUE)
        for _ in range(2):
            complete_all(state, STALE, queued_at=queued_at)
            state.end_stage(NOW, 3, INTERVAL)

        assert (state.stage, state.attempt, state.next_at) == (stage, 2, NOW + INTERVAL * SECOND)

    def test_the_times_are_those_that_alchemy_asks_for(self) -> None:
        assert (10, timedelta(minutes=15)) == (MIN_SECONDS_BETWEEN_ATTEMPTS, QUEUE_RULE)


class TestANewTry:
    @pytest.mark.parametrize(("method", "stage"), [(Method.BATCH, Stage.REFRESH), (Method.QUEUE, Stage.QUEUE)])
    def test_it_asks_again_for_what_may_yet_be_refreshed(self, method: Method, stage: Stage) -> None:
        failed = [TokenSet.of([1], asked_at=NOW, reason=STALE), TokenSet.of([2], reason=GONE)]
        times = {"next_at": NOW, "finished_at": NOW, "execution_deadline": NOW}
        state = state_of(0, method, stage=Stage.DONE, attempt=3, failed=failed, **times)

        state.begin_new_try()

        assert (state.stage, state.attempt, state.next_at, state.finished_at) == (stage, 1, None, None)
        assert (state.todo, state.failed, state.execution_deadline) == (failed[:1], failed[1:], None)

    def test_it_leaves_what_is_final(self) -> None:
        state = state_of(0, stage=Stage.DONE, failed=[TokenSet.of([2], reason=GONE)])

        state.begin_new_try()

        assert (state.stage, ids(state.failed)) == (Stage.DONE, [2])

    def test_in_the_middle_it_goes_on(self) -> None:
        state = state_of(150, attempt=2, next_at=NOW, failed=[TokenSet.of([900], reason=THROTTLED)])

        state.begin_new_try()

        assert (state.attempt, state.next_at, ids(state.failed)) == (2, NOW, [900])


class TestTheWayThroughADatabase:
    def test_what_is_in_flight_is_asked_for_again(self) -> None:
        state = state_of(150)
        taken(state)

        again = restored(state)

        assert (ids(again.todo), again.remaining, again.tokens) == (list(range(150)), 150, 150)
        assert {tokens.asked_at for tokens in again.todo} == {None}

    def test_what_may_have_been_queued_counts_as_asked_for(self) -> None:
        earlier = NOW - 60 * SECOND
        state = state_of(150, Method.QUEUE)
        state.todo = [TokenSet.of(range(50), asked_at=earlier), TokenSet.of(range(50, 150))]
        chunk = state.next_chunk(queued_from=NOW)
        assert chunk is not None

        assert [tokens.asked_at for tokens in restored(state).todo] == [earlier, NOW, None]
        assert [tokens.asked_at for tokens in chunk.token_sets] == [earlier, None]

    def test_every_field_survives(self) -> None:
        numbers = {"supply": 7, "polls": 4, "compute_units": 5, "estimated_seconds": 0.5, "attempt": 2}
        times = {"submitted_at": NOW, "finished_at": NOW, "execution_deadline": NOW, "next_at": ASKED_AT}
        state = state_of(5, Method.QUEUE, digest="d", next_key="0x5", refreshed=1, **numbers, **times)
        state.unproven = [TokenSet.of([8, MAX_TOKEN_ID], asked_at=ASKED_AT, queued_at=NOW, reason=STALE)]
        state.failed = [TokenSet.of([9], reason=GONE)]

        assert restored(state) == state

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "a text",
            5,
            [],
            {},
            {"method": "batch"},
            {**state_of(1).to_dict(), "method": "auto"},
            {**state_of(1).to_dict(), "stage": "mint"},
            {**state_of(1).to_dict(), "todo": None},
            {**state_of(1).to_dict(), "todo": [5]},
            {**state_of(1).to_dict(), "next_at": "soon"},
            {**state_of(1).to_dict(), "of_a_later_version": 1},
        ],
        ids=str,
    )
    def test_what_is_no_state_is_none(self, value: Any) -> None:
        assert CollectionState.from_dict(value) is None

    @pytest.mark.parametrize("number", range(4))
    def test_other_work_is_told_from_this(self, number: int) -> None:
        work: list[Any] = ["0xabc", "eth-mainnet", Method.BATCH, ""]
        assert state_of(3).is_about(*work)

        work[number] = ["0xdef", "base-mainnet", Method.QUEUE, "digest"][number]

        assert not state_of(3).is_about(*work)

    @pytest.mark.parametrize("method", Method)
    def test_ten_thousand_tokens_that_are_stale_take_few_characters(self, method: Method) -> None:
        state = state_of(0, method)
        for start in range(0, 10_000, 100):
            state.add_tokens(range(start, start + 100))
        complete_all(state, STALE)

        assert len(json.dumps(state.to_dict())) < 10_000


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: each token is in one place."""

    @initialize(method=st.sampled_from(Method))
    def begin(self, method: Method) -> None:
        self.state = CollectionState.begin("0xabc", "eth-mainnet", method)
        self.known = 0
        self.refreshed: set[int] = set()
        self.in_flight: list[Chunk] = []
        self.now = NOW

    @precondition(lambda self: not self.state.is_read)
    @rule(number=st.integers(0, 250), is_last=st.booleans())
    def add(self, number: int, is_last: bool) -> None:
        self.state.add_tokens(range(self.known, self.known + number))
        self.state.is_read = is_last
        self.known += number

    @rule(size=st.integers(1, 100), is_queued=st.booleans())
    def take(self, size: int, is_queued: bool) -> None:
        chunk = self.state.next_chunk(size, queued_from=self.now if is_queued else None)
        if chunk is not None:
            self.in_flight.append(chunk)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        chunk = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        found: dict[str | None, list[int]] = {}
        reasons = data.draw(st.lists(st.sampled_from([*REASONS, None]), min_size=1))
        for index, token_id in enumerate(ids(chunk.token_sets)):
            found.setdefault(reasons[index % len(reasons)], []).append(token_id)
        left = found.pop(None, [])
        self.refreshed |= set(found.get("", []))
        known = [TokenSet.of(some, asked_at=NOW, reason=str(reason)) for reason, some in found.items()]
        self.state.complete(chunk, known, left=[TokenSet.of(left)] if left else [])

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        self.state.restore(self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1))))

    @precondition(lambda self: self.state.is_read and not self.state.remaining)
    @rule()
    def end_stage(self) -> None:
        if self.state.stage is not Stage.DONE:
            self.now += 1000 * SECOND
            self.state.end_stage(self.now, 2, INTERVAL)

    @rule()
    def change_the_process(self) -> None:
        self.state, self.in_flight = restored(self.state), []

    @rule()
    def begin_another_try(self) -> None:
        self.change_the_process()
        self.state.begin_new_try()

    @invariant()
    def each_token_is_in_one_place(self) -> None:
        state = self.state
        open_ids = [
            *ids(state.todo),
            *ids(state.unproven),
            *(token for chunk in self.in_flight for token in ids(chunk.token_sets)),
        ]
        assert Counter([*open_ids, *ids(state.failed), *self.refreshed]) == Counter(range(self.known))
        assert (state.tokens, state.refreshed) == (self.known, len(self.refreshed))
        assert state.answered + state.remaining == state.tokens
        assert state.stage is not Stage.DONE or not open_ids


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40)
