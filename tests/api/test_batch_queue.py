# SPDX-License-Identifier: Apache-2.0
"""The order in which a batch looks at its contracts."""

from __future__ import annotations

import math

from airflow_provider_alchemy.api.batch_queue import BatchQueue, DueLook
from hypothesis import given
from hypothesis import strategies as st

moments = st.floats(0, 1000, allow_nan=False)


def taken(queue: BatchQueue, now: float) -> list[DueLook]:
    looks = []
    while (look := queue.take(now)) is not None:
        looks.append(look)
    return looks


def test_all_are_due_at_once_in_the_order_of_the_list() -> None:
    assert [look.position for look in taken(BatchQueue(range(5), now=7.0), 7.0)] == [0, 1, 2, 3, 4]


def test_nothing_is_taken_before_it_is_due() -> None:
    queue = BatchQueue([], now=0.0)
    queue.add(1, 5.0, 0.0)

    assert (queue.take(4.9), queue.next_due_at()) == (None, 5.0)


def test_a_look_says_when_it_was_due() -> None:
    queue = BatchQueue([], now=0.0)
    queue.add(1, 5.0, 2.0)

    assert queue.take(9.0) == DueLook(rank=3.0, position=1, due_at=5.0)


def test_an_answer_that_is_worth_more_comes_first() -> None:
    queue = BatchQueue([], now=0.0)
    queue.add(1, 5.0, 0.0)
    queue.add(2, 6.0, 3.0)

    assert [look.position for look in taken(queue, 9.0)] == [2, 1]


def test_an_empty_queue_is_never_due() -> None:
    assert BatchQueue([], now=0.0).next_due_at() == math.inf


@given(planned=st.lists(st.tuples(moments, moments), max_size=50), now=moments)
def test_what_is_due_is_taken_once_and_by_rank(planned: list[tuple[float, float]], now: float) -> None:
    queue = BatchQueue([], now=0.0)
    for position, (due_at, head_start) in enumerate(planned):
        queue.add(position, due_at, head_start)

    looks = taken(queue, now)

    assert [look.rank for look in looks] == sorted(look.rank for look in looks)
    assert {look.position for look in looks} == {at for at, (due_at, _) in enumerate(planned) if due_at <= now}
