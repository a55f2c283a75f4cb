# SPDX-License-Identifier: Apache-2.0
"""Moments by position, without an end."""

from __future__ import annotations

import sys
from math import inf

from airflow_provider_alchemy.testing.sparse_times import SparseTimes


def test_a_position_that_was_not_set_has_the_empty_moment() -> None:
    times = SparseTimes(inf)
    times[300] = 1.5
    assert [times[index] for index in (0, 299, 300, 301, 10**9)] == [inf, inf, 1.5, inf, inf]


def test_many_moments_take_little_more_than_eight_bytes_each() -> None:
    times = SparseTimes(0.0)
    for index in range(100_000):
        times[index] = float(index)
    pages = times._pages
    assert sys.getsizeof(pages) + sum(map(sys.getsizeof, pages.values())) < 1_000_000
