# SPDX-License-Identifier: Apache-2.0
"""The jobs that all sides wait for."""

from __future__ import annotations

from dev.benchmarks.jobs import JobClock


def test_a_job_begins_with_the_first_question_and_ends_after_its_seconds() -> None:
    jobs = JobClock(20.0)
    assert jobs.share_done("a", 100.0) == 0.0
    assert jobs.share_done("a", 105.0) == 0.25
    assert jobs.share_done("a", 120.0) == 1.0
    assert jobs.share_done("a", 500.0) == 1.0


def test_jobs_begin_apart_from_each_other() -> None:
    jobs = JobClock(20.0)
    jobs.share_done("a", 100.0)
    assert jobs.share_done("b", 110.0) == 0.0
    assert jobs.share_done("a", 110.0) == 0.5


def test_a_job_of_no_length_is_done_at_once() -> None:
    assert JobClock(0.0).share_done("a", 100.0) == 1.0
