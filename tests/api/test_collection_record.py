# SPDX-License-Identifier: Apache-2.0
"""The record of a collection's refresh: its stages, and that no token is lost or counted twice on any way."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from airflow_provider_alchemy.api.collection_record import (
    LEAST_SECONDS_BETWEEN_ATTEMPTS,
    QUEUE_RULE_SECONDS,
    Chunk,
    CollectionRecord,
    Method,
    Stage,
)
from airflow_provider_alchemy.api.token_groups import STALE, TokenGroup
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

NOW = 1_800_000_000.0
INTERVAL = 10.0

PROVEN = TokenGroup("", 0, NOW)
STILL_STALE = TokenGroup("", 0, NOW, reason=STALE)
THROTTLED = TokenGroup("", 0, NOW, reason="token_uri_throttled")
GONE = TokenGroup("", 0, NOW, reason="no_such_token", is_final=True)


def record_of(tokens: int = 0, method: Method = Method.BATCH, **known: Any) -> CollectionRecord:
    record = CollectionRecord.begin("0xabc", "eth-mainnet", method)
    for name, value in known.items():
        setattr(record, name, value)
    record.take_on(range(tokens))
    record.is_taken = True
    return record


def like(kind: TokenGroup, *token_ids: int) -> TokenGroup:
    return TokenGroup.of(token_ids, asked_at=kind.asked_at, reason=kind.reason, is_final=kind.is_final)


def ids(groups: Any) -> list[int]:
    return [token_id for group in groups for token_id in group.token_ids]


def taken(record: CollectionRecord, most: int = 100) -> Chunk:
    chunk = record.take(most)
    assert chunk is not None
    return chunk


def end_stage(record: CollectionRecord, *, attempts: int = 3, can_queue: bool = False, now: float = NOW) -> None:
    record.end_stage(now, attempts, INTERVAL, can_queue=can_queue)


def settle_all(record: CollectionRecord, kind: TokenGroup, queued_at: float | None = None) -> None:
    while (chunk := record.take()) is not None:
        group = TokenGroup.of(ids(chunk), asked_at=NOW, queued_at=queued_at, reason=kind.reason, is_final=kind.is_final)
        record.settle(chunk, [group])


class TestTaking:
    def test_a_call_takes_a_hundred(self) -> None:
        record = record_of(250)

        assert [len(ids(taken(record))) for _ in range(3)] == [100, 100, 50]
        assert record.take() is None

    def test_fewer_are_taken_only_where_no_more_will_come(self) -> None:
        record = record_of()
        record.is_taken = False
        record.take_on(range(99))
        assert record.take() is None

        record.take_on([500])

        assert ids(taken(record)) == [*range(99), 500]

    def test_a_call_takes_from_several_groups(self) -> None:
        record = record_of()
        for start in (0, 30, 60):
            record.take_on(range(start, start + 30))

        assert (ids(taken(record, 40)), ids(taken(record, 40)), ids(taken(record, 40))) == (
            list(range(40)),
            list(range(40, 80)),
            list(range(80, 90)),
        )

    def test_what_is_put_back_is_next(self) -> None:
        record = record_of(250)
        chunk = taken(record)

        record.put_back(chunk)

        assert ids(taken(record)) == list(range(100))

    def test_an_empty_page_adds_nothing(self) -> None:
        record = record_of()

        record.take_on(())

        assert (record.todo, record.tokens, record.take()) == ([], 0, None)

    def test_settled_are_those_that_had_an_answer(self) -> None:
        record = record_of(250)
        assert record.settled == 0

        first, _ = taken(record), taken(record)
        record.settle(first, [like(PROVEN, *range(60)), like(GONE, *range(60, 100))])

        assert (record.settled, record.open_in_stage, record.refreshed) == (100, 150, 60)
        assert (ids(record.failed), record.stale) == (list(range(60, 100)), 0)

    def test_tokens_may_be_settled_in_part(self) -> None:
        record = record_of(3)
        chunk = taken(record)

        record.settle(chunk, [like(PROVEN, 0)], left=[TokenGroup.of([1, 2])])

        assert (record.refreshed, ids(record.todo), record.open_in_stage) == (1, [1, 2], 2)


class TestTheStages:
    def test_a_batch_that_proves_all_is_done(self) -> None:
        record = record_of(3)
        settle_all(record, PROVEN)

        end_stage(record)

        assert (record.stage, record.next_at) == (Stage.DONE, NOW)

    @pytest.mark.parametrize("kind", [STILL_STALE, THROTTLED])
    def test_a_token_is_tried_three_times_with_the_interval_between(self, kind: TokenGroup) -> None:
        record, course = record_of(3), []
        for _ in range(3):
            settle_all(record, kind)
            end_stage(record)
            course.append((record.stage, record.attempt, record.next_at - NOW))

        assert course == [(Stage.REFRESH, 2, INTERVAL), (Stage.REFRESH, 3, INTERVAL), (Stage.DONE, 3, 0)]
        assert ids(record.failed) == [0, 1, 2]

    def test_a_final_reason_is_not_tried_again(self) -> None:
        record = record_of(3)
        settle_all(record, GONE)

        end_stage(record)

        assert (record.stage, ids(record.failed)) == (Stage.DONE, [0, 1, 2])

    def test_queued_tokens_are_looked_at_when_the_service_says(self) -> None:
        record = record_of(3, Method.QUEUE)
        assert record.stage is Stage.QUEUE
        settle_all(record, STILL_STALE, queued_at=NOW)
        record.estimated_seconds = 25.0

        end_stage(record)

        assert (record.stage, record.attempt, record.next_at, record.estimated_seconds) == (
            Stage.PROVE,
            1,
            NOW + 25,
            0.0,
        )

    @pytest.mark.parametrize(
        ("queued_at", "stage"), [(NOW, Stage.PROVE), (NOW - QUEUE_RULE_SECONDS, Stage.QUEUE), (None, Stage.QUEUE)]
    )
    def test_no_token_is_queued_twice_in_a_quarter_of_an_hour(self, queued_at: float | None, stage: Stage) -> None:
        record = record_of(3, Method.QUEUE)
        settle_all(record, STILL_STALE, queued_at=queued_at)
        end_stage(record)
        settle_all(record, STILL_STALE, queued_at=queued_at)

        end_stage(record)

        assert (record.stage, record.attempt, record.next_at) == (stage, 2, NOW + INTERVAL)

    def test_auto_queues_what_batch_left_stale_and_nothing_else(self) -> None:
        record = record_of(4, Method.AUTO, attempt=3)
        record.settle(taken(record), [like(STILL_STALE, 0, 1), like(THROTTLED, 2), like(GONE, 3)])

        end_stage(record, can_queue=True)

        assert (record.stage, record.attempt, ids(record.todo)) == (Stage.QUEUE, 1, [0, 1])
        assert record.next_at == NOW + INTERVAL
        assert sorted(ids(record.failed)) == [2, 3]

    def test_without_the_queue_auto_is_batch(self) -> None:
        record = record_of(2, Method.AUTO, attempt=3)
        settle_all(record, STILL_STALE)

        end_stage(record, can_queue=False)

        assert (record.stage, record.stale) == (Stage.DONE, 2)

    def test_alchemy_asks_for_ten_seconds(self) -> None:
        assert LEAST_SECONDS_BETWEEN_ATTEMPTS == 10


class TestANewTry:
    @pytest.mark.parametrize(
        ("method", "stage"),
        [(Method.BATCH, Stage.REFRESH), (Method.QUEUE, Stage.QUEUE), (Method.AUTO, Stage.REFRESH)],
    )
    def test_it_asks_again_for_what_may_be_mended(self, method: Method, stage: Stage) -> None:
        record = record_of(
            0, method, stage=Stage.DONE, attempt=3, next_at=NOW, failed=[like(STILL_STALE, 1), like(GONE, 2)]
        )
        record.finished_at = "2027-01-15T00:00:00+00:00"

        record.for_next_try()

        assert record.to_dict()["finished_at"] is None
        assert (record.stage, record.attempt, record.next_at) == (stage, 1, 0.0)
        assert (ids(record.todo), ids(record.failed), record.todo[0].asked_at) == ([1], [2], NOW)

    def test_it_leaves_what_nothing_can_mend(self) -> None:
        record = record_of(0, stage=Stage.DONE, failed=[like(GONE, 2)])

        record.for_next_try()

        assert (record.stage, ids(record.failed)) == (Stage.DONE, [2])

    def test_in_the_middle_it_goes_on(self) -> None:
        record = record_of(150, attempt=2, next_at=NOW, failed=[like(THROTTLED, 900)])

        record.for_next_try()

        assert (record.attempt, record.next_at, ids(record.failed)) == (2, NOW, [900])


class TestTheWayThroughADatabase:
    def test_what_is_under_way_is_to_be_asked_again(self) -> None:
        record = record_of(150)
        taken(record)

        again = CollectionRecord.read(json.loads(json.dumps(record.to_dict())))

        assert again is not None
        assert (ids(again.todo), again.open_in_stage, again.tokens) == (list(range(150)), 150, 150)

    def test_what_may_be_queued_by_then_counts_as_asked_for(self) -> None:
        record = record_of(150, Method.QUEUE)
        record.todo = [TokenGroup.of(range(50), asked_at=NOW - 60), TokenGroup.of(range(50, 150))]

        chunk = record.take(now=NOW)
        again = CollectionRecord.read(record.to_dict())

        assert again is not None
        assert [group.asked_at for group in again.todo] == [NOW - 60, NOW, None]
        assert [group.asked_at for group in chunk or ()] == [NOW - 60, None]

    def test_every_field_survives(self) -> None:
        record = record_of(5, Method.AUTO, digest="d", supply=7, next_key="0x5", given=3, polls=4, compute_units=5)
        record.waiting, record.failed = [like(STILL_STALE, 8)], [like(GONE, 9)]
        record.execution_deadline = record.submitted_at = "2027-01-15T00:00:00+00:00"

        again = CollectionRecord.read(json.loads(json.dumps(record.to_dict())))

        assert again == record

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "a text",
            5,
            [],
            {},
            {"method": "batch"},
            {**record_of(1).to_dict(), "method": "other"},
            {**record_of(1).to_dict(), "todo": None},
            {**record_of(1).to_dict(), "todo": [[1, 2, 3, 4, 5, 6, 7]]},
            {**record_of(1).to_dict(), "of_a_later_version": 1},
        ],
        ids=str,
    )
    def test_what_is_no_record_is_none(self, value: Any) -> None:
        assert CollectionRecord.read(value) is None

    @pytest.mark.parametrize(
        "other",
        [
            ("0xdef", "eth-mainnet", Method.BATCH, ""),
            ("0xabc", "base-mainnet", Method.BATCH, ""),
            ("0xabc", "eth-mainnet", Method.QUEUE, ""),
            ("0xabc", "eth-mainnet", Method.BATCH, "digest"),
        ],
    )
    def test_other_work_is_told_from_this(self, other: Any) -> None:
        assert record_of(3).is_about(record_of())
        assert not record_of(3).is_about(CollectionRecord.begin(*other))

    def test_ten_thousand_tokens_that_are_stale_take_few_characters(self) -> None:
        record = record_of()
        for start in range(0, 10_000, 100):
            record.take_on(range(start, start + 100))
        settle_all(record, STILL_STALE)

        assert len(json.dumps(record.to_dict())) < 10_000


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: each token is in one place."""

    @initialize(method=st.sampled_from(Method))
    def begin(self, method: Method) -> None:
        self.record = CollectionRecord.begin("0xabc", "eth-mainnet", method)
        self.known = 0
        self.refreshed: set[int] = set()
        self.under_way: list[Chunk] = []
        self.now = NOW

    @precondition(lambda self: not self.record.is_taken)
    @rule(number=st.integers(0, 250), is_last=st.booleans())
    def take_on(self, number: int, is_last: bool) -> None:
        self.record.take_on(range(self.known, self.known + number))
        self.record.is_taken = is_last
        self.known += number

    @rule(most=st.integers(1, 100), is_noted=st.booleans())
    def take(self, most: int, is_noted: bool) -> None:
        chunk = self.record.take(most, now=self.now if is_noted else None)
        if chunk is not None:
            self.under_way.append(chunk)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        chunk = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        found: dict[TokenGroup | None, list[int]] = {}
        kinds = data.draw(st.lists(st.sampled_from([PROVEN, STILL_STALE, THROTTLED, GONE, None]), min_size=1))
        for index, token_id in enumerate(ids(chunk)):
            found.setdefault(kinds[index % len(kinds)], []).append(token_id)
        left = found.pop(None, [])
        self.refreshed |= set(found.get(PROVEN, []))
        self.record.settle(
            chunk,
            [like(kind, *token_ids) for kind, token_ids in found.items() if kind is not None],
            left=[TokenGroup.of(left)] if left else [],
        )

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        self.record.put_back(self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1))))

    @precondition(lambda self: self.record.is_taken and not self.record.open_in_stage)
    @rule(can_queue=st.booleans())
    def end_stage(self, can_queue: bool) -> None:
        if self.record.stage is not Stage.DONE:
            self.now += 1000
            self.record.end_stage(self.now, 2, INTERVAL, can_queue=can_queue)

    @rule()
    def change_the_process(self) -> None:
        record = CollectionRecord.read(json.loads(json.dumps(self.record.to_dict())))
        assert record is not None
        self.record, self.under_way = record, []

    @rule()
    def begin_another_try(self) -> None:
        self.change_the_process()
        self.record.for_next_try()

    @invariant()
    def each_token_is_in_one_place(self) -> None:
        record = self.record
        open_ids = [
            *ids(record.todo),
            *ids(record.waiting),
            *(token for chunk in self.under_way for token in ids(chunk)),
        ]
        places = Counter([*open_ids, *ids(record.failed), *self.refreshed])
        assert places == Counter(range(self.known))
        assert (record.tokens, record.refreshed) == (self.known, len(self.refreshed))
        assert record.settled + record.open_in_stage == record.tokens
        assert record.stage is not Stage.DONE or not open_ids


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40)
