# SPDX-License-Identifier: Apache-2.0
"""The wait for a refresh: what each answer means, when it is submitted again, what the log says."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import (
    AlchemyNoSuchCollectionError,
    AlchemyQueueFailedError,
    AlchemyServerError,
)
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.reingest import RESULT_KEYS, ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import from_json, to_json

from .service import (
    CONTRACT,
    LOG,
    NOW,
    SUBJECT,
    Clock,
    Lines,
    Polls,
    Service,
    in_seconds,
    refresh,
    refreshing,
    wait_for,
)

BUSY = AlchemyServerError("Alchemy answered HTTP 503")
PENDING = ["queued", "already_queued", "already_queried", "in_progress", "warming_up"]
ADAPTIVE = Interval(seconds=60, max_seconds=600, adaptive=True)


class TestAnswers:
    @pytest.mark.parametrize("state", PENDING)
    def test_a_pending_refresh_is_polled_again_after_the_interval(self, state: str, clock: Clock) -> None:
        assert Polls(clock, refreshing())(state) == 60

    @pytest.mark.parametrize("before", [[], *([state] for state in PENDING)], ids=str)
    def test_a_collection_that_does_not_exist_ends_the_wait_at_once(self, before: list[str], clock: Clock) -> None:
        with pytest.raises(AlchemyNoSuchCollectionError, match=r"does_not_exist.*Check the contract address") as caught:
            Polls(clock, refreshing(max_resubmits=3))(*before, "does_not_exist")

        assert caught.value.subject == SUBJECT

    @pytest.mark.parametrize(
        ("before", "already_finished"),
        [([], True), ([BUSY], True), *(([state], False) for state in [*PENDING, "queue_failed"])],
        ids=str,
    )
    def test_finished_at_the_first_answer_may_be_an_earlier_refresh(
        self, before: list[Any], already_finished: bool, clock: Clock
    ) -> None:
        poll = Polls(clock, refreshing(max_resubmits=1))

        assert poll(*before, "finished") is None
        assert poll.wait.goal.result()["already_finished"] is already_finished

    def test_a_failure_leaves_the_last_answer(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing())
        poll(refresh("in_progress", 12.5), BUSY)

        assert (poll.state.status, poll.state.percent) == ("in_progress", 12.5)

    def test_the_result_is_complete(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(network=""))
        poll("queued")
        clock.shift(60)
        poll(refresh("finished", 100))

        result = poll.wait.goal.result()
        assert result == {
            "contract_address": CONTRACT,
            "network": "eth-mainnet",
            "state": "finished",
            "progress": 100,
            "already_finished": False,
            "submitted_at": NOW.isoformat(),
            "finished_at": in_seconds(60).isoformat(),
            "polls": 2,
            "compute_units": 960,
            "usd": 0.000432,
        }
        assert tuple(result) == RESULT_KEYS


class TestARefreshThatCouldNotBeQueued:
    def test_it_fails_where_it_is_not_submitted_again(self, clock: Clock) -> None:
        with pytest.raises(AlchemyQueueFailedError, match=r"\(queue_failed\)\. It may be submitted again") as caught:
            Polls(clock, refreshing())("queue_failed")

        assert caught.value.subject == SUBJECT

    def test_it_is_submitted_again_with_back_off_as_often_as_the_task_says(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(max_resubmits=3))
        poll(*["queue_failed"] * 3)
        assert [int(delay or 0) for delay in poll.delays] == [1, 2, 4]

        with pytest.raises(AlchemyQueueFailedError, match="also after 3 more submissions"):
            poll("queue_failed")

    def test_submissions_are_counted_over_the_whole_wait(self, clock: Clock) -> None:
        with pytest.raises(AlchemyQueueFailedError):
            Polls(clock, refreshing(max_resubmits=1))("queue_failed", "queued", "queue_failed")

    def test_only_one_that_the_service_accepted_goes_on_in_a_triggerer(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(max_resubmits=1))
        accepted = []
        for answer in (BUSY, "queue_failed", "queued"):
            poll(answer)
            accepted.append(poll.wait.goal.is_accepted())

        assert accepted == [False, False, True]

    def test_the_next_process_pauses_before_it_submits_again_too(self, clock: Clock) -> None:
        service = Service("finished")
        wait = wait_for(refreshing(status="queue_failed", queue_failures=2, max_resubmits=2))
        clock.run(wait.run(service, at_once=True))

        assert 2 <= service.asked_at[0] <= 3.2

    def test_a_submission_is_worth_all_attempts_and_a_later_poll_one(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(max_resubmits=1))
        poll(BUSY, "queue_failed", "queued", BUSY, "in_progress")

        assert poll.service.attempts == [5, 5, 5, 1, 1]


class TestAnAdaptiveWait:
    def half_way(self, clock: Clock, interval: Interval = ADAPTIVE) -> Polls:
        """Poll a refresh of a thousand seconds until it is half done."""
        poll = Polls(clock, refreshing(), interval=interval)
        for percent in (0, 10, 20, 30, 40, 50):
            poll(refresh("in_progress", percent))
            clock.shift(100)
        clock.shift(-100)
        return poll

    def test_it_polls_more_rarely_than_its_interval_and_a_steady_one_does_not(self, clock: Clock) -> None:
        assert (self.half_way(clock).delays[-1] or 0) > 60
        clock.shift(100)
        assert self.half_way(clock, Interval(seconds=60)).delays[-1] == 60

    def test_a_failed_poll_is_made_again_soon(self, clock: Clock) -> None:
        poll = self.half_way(clock)
        delay = poll.delays[-1] or 0
        clock.shift(delay)

        assert 60 <= (poll(BUSY) or 0) < delay

    def test_the_expected_end_survives_the_way_through_the_database(self, clock: Clock) -> None:
        poll = self.half_way(clock)
        delay = poll.delays[-1] or 0
        goal = ReingestGoal(from_json(ReingestState, to_json(poll.state)))

        assert delay <= goal.first_delay_seconds(ADAPTIVE, at_once=False) <= delay + 30

    @pytest.mark.parametrize(
        ("values", "interval", "least", "most"),
        [
            ({}, ADAPTIVE, 0, 0),
            ({"status": "queued"}, ADAPTIVE, 0, 60),
            ({"status": "queued", "rounds": 1}, Interval(seconds=60), 0, 60),
            ({"status": "queued", "rounds": 1}, ADAPTIVE, 60, 90),
        ],
        ids=["a submission comes at once", "no poll is known", "steady", "an interval after the worker's"],
    )
    def test_its_first_poll_in_a_triggerer(
        self, values: dict[str, Any], interval: Interval, least: float, most: float
    ) -> None:
        delays = {refreshing(**values).first_delay_seconds(interval, at_once=False) for _ in range(100)}

        assert least <= min(delays) <= max(delays) <= most
        assert len(delays) > (90 if most else 0)


class TestItsLog:
    def test_a_change_of_the_state_is_one_line(self, clock: Clock, lines: Lines) -> None:
        Polls(clock, refreshing())(
            *("queued", "queued", "already_queued", "already_queried", "in_progress", "in_progress", "finished")
        )

        assert lines(logging.INFO) == ["queued", "already_queued", "in_progress", "finished"]

    def test_ten_points_of_progress_are_one_line_and_the_rest_is_for_developers(
        self, clock: Clock, lines: Lines
    ) -> None:
        Polls(clock, refreshing())(
            *(refresh("in_progress", percent) for percent in (0, 3, 9, 10, 11, 19, 20.5, 30, 31, None, 99))
        )

        assert lines(logging.INFO) == [f"in_progress, {percent} %" for percent in ("0", "10", "20.5", "31", "99")]
        assert lines(logging.DEBUG)[:2] == ["in_progress, 3 %", "in_progress, 9 %"]

    def test_what_was_named_last_survives_a_restart(self, clock: Clock, lines: Lines) -> None:
        goal = refreshing(status="in_progress", logged_state="in_progress", logged_progress=40)
        Polls(clock, goal)(refresh("in_progress", 45))

        assert lines(logging.INFO) == []

    def test_each_unknown_state_is_one_warning_that_names_it(self, clock: Clock, lines: Lines) -> None:
        Polls(clock, refreshing())("warming_up", "warming_up", "cooling_down", "cooling_down")

        assert lines(logging.WARNING) == [
            f"unknown state '{state}', taken as pending until the deadline" for state in ("warming_up", "cooling_down")
        ]

    @pytest.mark.parametrize(("before", "is_said"), [([], True), (["queued"], False)])
    def test_finished_at_the_first_answer_is_said(
        self, before: list[str], is_said: bool, clock: Clock, lines: Lines
    ) -> None:
        Polls(clock, refreshing())(*before, "finished")

        words = "finished at the first answer: perhaps by a refresh that began earlier (already_finished)"
        assert (words in lines(logging.INFO)) is is_said

    def test_each_submission_is_a_warning_that_counts(self, clock: Clock, lines: Lines) -> None:
        Polls(clock, refreshing(max_resubmits=3))("queue_failed", "queue_failed")

        words = "Alchemy could not queue the refresh (queue_failed); submitting it again ({} of 3)"
        assert lines(logging.WARNING) == [words.format(1), words.format(2)]

    def test_each_line_names_the_collection_and_the_connection(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, LOG.name)
        poll = Polls(clock, refreshing(max_resubmits=1))
        poll("warming_up", "queue_failed", "queued", "queued", "finished")
        poll.wait.log_summary()

        assert len(caplog.records) >= 7
        assert [record.getMessage() for record in caplog.records if SUBJECT not in record.getMessage()] == []
