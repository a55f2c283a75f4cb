# SPDX-License-Identifier: Apache-2.0
"""How looks come together: late by little, never early, and in step from one look to the next."""

from __future__ import annotations

from airflow_provider_alchemy.api.following import LATENESS, LONGEST_STROKE_SECONDS, next_stroke
from hypothesis import given
from hypothesis import strategies as st

MOMENTS = st.floats(0, 10**7)
DELAYS = st.floats(0.01, 86400)


@given(MOMENTS, DELAYS)
def test_a_look_is_late_by_a_small_part_of_its_delay(due_at: float, delay: float) -> None:
    assert next_stroke(due_at, delay) - due_at <= min(delay * LATENESS, LONGEST_STROKE_SECONDS) + 1e-6


@given(MOMENTS, DELAYS)
def test_a_look_is_earlier_by_no_more_than_an_answer_takes(due_at: float, delay: float) -> None:
    assert due_at - next_stroke(due_at, delay) <= min(delay * LATENESS, LONGEST_STROKE_SECONDS) / 4 + 1e-6


@given(st.lists(st.floats(1000, 1000.2), min_size=2, max_size=20))
def test_looks_that_are_due_together_come_together(due: list[float]) -> None:
    assert len({next_stroke(due_at, 5.0) for due_at in due}) <= 2


@given(MOMENTS, st.integers(1, 60), st.floats(0, 0.04))
def test_an_interval_is_kept_from_look_to_look(begin: float, interval: int, answer_took: float) -> None:
    first = next_stroke(begin, interval)
    second = next_stroke(first + min(answer_took, interval * LATENESS / 16) + interval, interval)
    assert abs(second - first - interval) < 1e-6


def test_what_is_due_now_is_not_put_off() -> None:
    assert next_stroke(12.345, 0.0) == 12.345
