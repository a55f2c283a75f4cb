# SPDX-License-Identifier: Apache-2.0
"""The rules that all waits share: failures, deadlines, spending, what travels between processes, and the last line."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.defaults import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.waits.batch import BatchState
from airflow_provider_alchemy.waits.freshness import FreshnessState
from airflow_provider_alchemy.waits.interval import Interval, Mark
from airflow_provider_alchemy.waits.new_tokens import NewTokensState
from airflow_provider_alchemy.waits.reingest import ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import WaitState, from_json, to_json

from .service import (
    CONTRACT,
    NOW,
    PRICE,
    SUBJECT,
    Clock,
    Lines,
    Polls,
    Service,
    in_seconds,
    known,
    refresh,
    refreshing,
    wait_for,
)

BUSY = errors.AlchemyServerError("Alchemy answered HTTP 503")
TOO_FAST = errors.AlchemyRateLimitError("Alchemy answered HTTP 429", http_status=429)
NO_HOST = errors.AlchemyHostNotFoundError("host eth-mainnet.g.alchemy.com does not exist")

WAITED_OUT = [
    errors.AlchemyRateLimitError("x"),
    errors.AlchemyServerError("x"),
    errors.AlchemyConnectionError("x"),
    errors.AlchemyTimeoutError("x"),
    errors.AlchemyBadAnswerError("x"),
]
FINAL = [
    errors.AlchemyAuthenticationError("x"),
    errors.AlchemyQuotaError("x"),
    errors.AlchemyEndpointGoneError("x"),
    errors.AlchemyNetworkError("x"),
    errors.AlchemyRequestError("x"),
    errors.AlchemyConfigurationError("x"),
    errors.AlchemyUnexpectedAnswerError("x"),
    errors.AlchemyError("x"),
]
LIMITS = [
    pytest.param("deadline", errors.AlchemyDeadlineError, id="timeout"),
    pytest.param("execution_deadline", errors.AlchemyExecutionDeadlineError, id="execution_timeout"),
]


def of_type(error: AlchemyError) -> str:
    return type(error).__name__


class TestFailures:
    @pytest.mark.parametrize("error", WAITED_OUT, ids=of_type)
    def test_trouble_of_the_service_is_waited_out(self, error: AlchemyError, clock: Clock) -> None:
        assert Polls(clock, refreshing(status="queued"))(error) == 60

    @pytest.mark.parametrize("error", FINAL, ids=of_type)
    @pytest.mark.parametrize("before", [None, "in_progress"], ids=["first poll", "later poll"])
    def test_a_final_error_ends_the_wait_at_once(self, error: AlchemyError, before: str | None, clock: Clock) -> None:
        poll = Polls(clock, refreshing(status=before))

        with pytest.raises(type(error)) as caught:
            poll(error)

        assert caught.value is error
        assert poll.state.polls == 1

    @pytest.mark.parametrize(("rule", "limit"), [({}, 10), *(({"max_consecutive_failures": n}, n) for n in (0, 1, 3))])
    def test_as_many_in_a_row_are_survived_as_the_task_says(
        self, rule: dict[str, Any], limit: int, clock: Clock
    ) -> None:
        poll = Polls(clock, refreshing(status="queued"), **rule)
        poll("queued", *[BUSY] * limit)

        with pytest.raises(errors.AlchemyServerError):
            poll(BUSY)
        assert DEFAULT_MAX_CONSECUTIVE_FAILURES == 10

    def test_without_a_limit_any_number_is_survived(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(status="queued"), max_consecutive_failures=None)
        poll(*[BUSY] * 200)

        assert poll.state.failures == 200

    def test_one_good_answer_clears_the_count(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(), max_consecutive_failures=2)
        poll(BUSY, BUSY, "queued", BUSY, BUSY)

        assert poll.state.failures == 2

    def test_the_count_goes_on_in_another_process(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(status="queued"), max_consecutive_failures=2)
        poll(BUSY, BUSY)
        again = Polls(clock, ReingestGoal(crossed(poll.state)), max_consecutive_failures=2)

        with pytest.raises(errors.AlchemyServerError):
            again(BUSY)

    def test_they_back_off_beyond_a_short_interval(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(status="queued"), seconds=1)
        poll(*[BUSY] * 4)

        assert [int(delay or 0) for delay in poll.delays] == [1, 2, 4, 8]

    def test_a_failure_waits_at_least_as_long_as_the_service_asks(self, clock: Clock) -> None:
        error = errors.AlchemyRateLimitError("x", retry_after_seconds=200)

        assert 200 <= (Polls(clock, refreshing(status="queued"))(error) or 0) <= 201

    def test_the_first_answer_is_tried_for_again_quickly(self, clock: Clock) -> None:
        assert 1 <= (Polls(clock, refreshing())(BUSY) or 0) <= 2

    def test_a_bug_is_none(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing())

        with pytest.raises(ZeroDivisionError):
            poll(ZeroDivisionError())
        assert (poll.state.failures, poll.state.polls) == (0, 1)

    @pytest.mark.parametrize("before", [[], [BUSY]], ids=["nothing", "a failure"])
    def test_a_host_that_never_answered_is_an_unknown_network(self, before: list[Any], clock: Clock) -> None:
        with pytest.raises(errors.AlchemyHostNotFoundError):
            Polls(clock, refreshing())(*before, NO_HOST)

    def test_a_host_that_answered_before_has_trouble_with_its_name(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(), max_consecutive_failures=1)
        assert poll("queued", NO_HOST) == 60

        with pytest.raises(errors.AlchemyHostNotFoundError):
            poll(NO_HOST)

    def test_each_is_a_warning_that_counts_and_explains(self, clock: Clock, lines: Lines) -> None:
        busy = errors.AlchemyServerError("Alchemy answered HTTP 503")
        Polls(clock, refreshing())("queued", busy, busy)

        first, second = lines(logging.WARNING)
        assert first.startswith("Poll failed (1 in a row), trying again in 60.0 s: Alchemy answered HTTP 503. ")
        assert second.startswith("Poll failed (2 in a row)")


class TestARefusedAccount:
    """A 429 is no failure of the wait: it is waited out until the deadline."""

    def test_it_never_counts(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(status="queued"), max_consecutive_failures=0)
        poll(*[TOO_FAST] * 50)

        assert poll.state.failures == 0

    def test_one_that_stays_ends_with_the_deadline_that_names_it(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(status="queued", deadline=NOW))

        with pytest.raises(errors.AlchemyDeadlineError, match="; the last poll failed: Alchemy answered HTTP 429"):
            poll(TOO_FAST)

    @pytest.mark.parametrize("error", [BUSY, TOO_FAST], ids=of_type)
    def test_a_wait_that_is_not_patient_ends_with_the_first_failure(self, error: AlchemyError, clock: Clock) -> None:
        with pytest.raises(type(error)):
            Polls(clock, refreshing(), is_patient=False)(error)


class TestDeadlines:
    @pytest.mark.parametrize(("limit", "error_type"), LIMITS)
    @pytest.mark.parametrize("answer", ["queued", "in_progress", "warming_up", "queue_failed", BUSY], ids=str)
    def test_a_wait_whose_time_is_over_polls_once_more_and_gives_up(
        self, limit: str, error_type: type[AlchemyError], answer: Any, clock: Clock
    ) -> None:
        poll = Polls(clock, refreshing(max_resubmits=3, **{limit: NOW}))

        with pytest.raises(AlchemyError) as caught:
            poll(answer)

        assert (type(caught.value), caught.value.subject, poll.state.polls) == (error_type, SUBJECT, 1)

    @pytest.mark.parametrize(("limit", "error_type"), LIMITS)
    def test_the_last_poll_may_find_an_end(self, limit: str, error_type: type[AlchemyError], clock: Clock) -> None:
        assert Polls(clock, refreshing(**{limit: in_seconds(-3600)}))("finished") is None

        with pytest.raises(errors.AlchemyNoSuchCollectionError):
            Polls(clock, refreshing(**{limit: in_seconds(-3600)}))("does_not_exist")
        with pytest.raises(error_type, match=f"the task's {error_type.reason} was over"):
            Polls(clock, refreshing(**{limit: in_seconds(-3600)}))("queued")

    @pytest.mark.parametrize(
        ("answer", "left", "delay"),
        [
            ("queued", {"deadline": 3600}, 60),
            ("queued", {"deadline": 7.5}, 7.5),
            (BUSY, {"execution_deadline": 7.5}, 7.5),
            ("queue_failed", {"deadline": 0.25}, 0.25),
            ("queued", {"deadline": 20, "execution_deadline": 10}, 10),
        ],
        ids=str,
    )
    def test_no_sleep_outlasts_them(self, answer: Any, left: dict[str, float], delay: float, clock: Clock) -> None:
        limits = {limit: in_seconds(seconds) for limit, seconds in left.items()}

        assert Polls(clock, refreshing(status="queued", max_resubmits=1, **limits))(answer) == delay

    def test_where_both_are_over_the_tasks_own_is_named(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(deadline=in_seconds(-1), execution_deadline=in_seconds(-2)))

        with pytest.raises(errors.AlchemyDeadlineError, match="when the task's timeout was over"):
            poll("queued")

    def test_the_error_says_how_far_the_refresh_was(self, clock: Clock) -> None:
        with pytest.raises(errors.AlchemyDeadlineError, match=r"still in_progress \(42 %\).*goes on at Alchemy"):
            Polls(clock, refreshing(deadline=NOW))(refresh("in_progress", 42))
        with pytest.raises(errors.AlchemyDeadlineError, match=r"still without an answer .* failed: Alchemy answered"):
            Polls(clock, refreshing(deadline=NOW))(BUSY)

    def test_they_are_moments_that_only_a_new_try_moves(self, clock: Clock) -> None:
        state = known(ReingestState)
        state.set_deadlines(90, timedelta(seconds=120))
        clock.shift(50)
        state = crossed(state)
        state.set_deadlines(90, timedelta(seconds=120))
        assert (state.started_at, state.deadline, state.execution_deadline) == (NOW, in_seconds(90), in_seconds(120))

        state.failures = state.rounds = state.polls = 5
        state.begin_new_try()
        state.set_deadlines(90, None)
        assert (state.deadline, state.execution_deadline) == (in_seconds(140), None)
        assert (state.failures, state.rounds, state.polls) == (0, 0, 5)


class TestSpending:
    def test_a_wait_ends_with_the_answer_after_which_no_poll_can_be_paid(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(), max_compute_units=1000)

        with pytest.raises(errors.AlchemySpendingLimitError) as caught:
            poll("queued", "in_progress")

        assert poll.state.compute_units == 960
        assert SUBJECT in str(caught.value)
        assert "spent 960 compute units: one more poll costs 480, and max_compute_units is 1,000" in str(caught.value)
        assert "raise max_compute_units" in str(caught.value)

    def test_the_last_poll_that_can_be_paid_may_end_it_well(self, clock: Clock) -> None:
        assert Polls(clock, refreshing(), max_compute_units=960)("queued", "finished") is None

    def test_what_an_earlier_process_spent_counts(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing(compute_units=960), max_compute_units=1000)

        with pytest.raises(errors.AlchemySpendingLimitError):
            poll("queued")
        assert poll.service.calls == []

    def test_polls_and_units_are_counted_for_good_and_failed_polls(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing())
        with pytest.raises(errors.AlchemyAuthenticationError):
            poll("queued", BUSY, "in_progress", FINAL[0])

        assert (poll.state.polls, poll.state.compute_units, poll.state.rounds) == (4, 2 * PRICE, 4)

    def test_the_time_of_submission_is_the_first_call_in_any_process(self, clock: Clock) -> None:
        poll = Polls(clock, refreshing())
        poll(BUSY)
        clock.shift(60)
        poll("queued")

        assert poll.state.submitted_at == NOW


class TestItsRun:
    def test_it_polls_when_polls_are_due_until_the_end(self, clock: Clock) -> None:
        service, goal = Service("queued", BUSY, "in_progress", "finished"), refreshing()

        assert clock.run(wait_for(goal, seconds=8).run(service, at_once=True)) is None

        assert service.asked_at == [0, 8, 16, 24]
        assert (goal.state.finished_at, goal.result()["state"]) == (in_seconds(24), "finished")

    def test_one_that_has_ended_is_not_polled_again(self, clock: Clock) -> None:
        service, goal = Service(), refreshing(status="finished", finished_at=NOW)

        assert clock.run(wait_for(goal).run(service)) is None
        with pytest.raises(errors.AlchemyNoSuchCollectionError) as caught:
            clock.run(wait_for(refreshing(status="does_not_exist")).run(service))

        assert (service.calls, goal.state.finished_at, caught.value.subject) == ([], NOW, SUBJECT)

    def test_another_process_may_make_the_next_poll(self, clock: Clock) -> None:
        service, goal, saved = Service(BUSY, "queued"), refreshing(), list[int]()
        wait = wait_for(goal)

        delay = clock.run(
            wait.run(service, at_once=True, leaves=goal.is_accepted, on_poll=lambda: saved.append(goal.state.polls))
        )

        assert (delay, saved) == (60, [1, 2])

    def test_what_a_failing_poll_saw_is_saved_too(self, clock: Clock) -> None:
        goal, saved = refreshing(), list[int]()

        with pytest.raises(errors.AlchemyRequestError):
            clock.run(wait_for(goal).run(Service(FINAL[4]), on_poll=lambda: saved.append(goal.state.polls)))

        assert saved == [1]

    def test_it_polls_at_the_deadline_and_not_later(self, clock: Clock) -> None:
        service = Service(answer=lambda _: "queued")

        with pytest.raises(errors.AlchemyDeadlineError):
            clock.run(wait_for(refreshing(deadline=in_seconds(61))).run(service, at_once=True))

        assert service.asked_at == [0, 60, 61]

    @pytest.mark.parametrize(("limit", "error_type"), LIMITS)
    def test_they_end_it_also_where_no_answer_comes(
        self, limit: str, error_type: type[AlchemyError], clock: Clock
    ) -> None:
        service = Service(answer=lambda _: asyncio.sleep(10**6), timeout=30)

        with pytest.raises(error_type, match="left no room for a poll for 30 seconds"):
            clock.run(wait_for(refreshing(**{limit: in_seconds(100)})).run(service, at_once=True))

        assert clock.seconds == 130

    @pytest.mark.parametrize(
        ("deadline", "first", "last"), [(None, 15, 45), (in_seconds(2), 2, 2), (in_seconds(-5), 0, 0)], ids=str
    )
    def test_the_first_poll_in_a_triggerer_comes_in_a_random_part_of_the_interval(
        self, deadline: datetime | None, first: float, last: float, clock: Clock
    ) -> None:
        service = Service(answer=lambda _: "finished")

        async def run() -> None:
            waits = [wait_for(refreshing(status="queued", deadline=deadline)) for _ in range(200)]
            for wait in waits:
                wait.state.contract_address = f"0x{id(wait):040x}"
            await asyncio.gather(*(wait.run(service) for wait in waits))

        clock.run(run())
        assert min(service.asked_at) <= first <= last <= max(service.asked_at) <= (61 if deadline is None else last)

    def test_an_exponential_interval_goes_on_growing_in_another_process(self, clock: Clock) -> None:
        growing = Interval(seconds=60, exponential=True)
        poll = Polls(clock, refreshing(rounds=9, status="queued"), interval=growing)

        assert (poll("queued") or 0) >= 60 * 2**8


class TestTheLastLine:
    def test_it_names_state_seconds_polls_and_units(self, clock: Clock, lines: Lines) -> None:
        poll = Polls(clock, refreshing(polls=3))
        clock.shift(90.5)
        poll("finished")
        poll.wait.log_summary()

        assert lines(logging.INFO)[-1] == "finished after 90.5 s, 4 polls, 480 compute units ($0.000216)"

    def test_it_counts_from_the_beginning_in_another_process(self, clock: Clock, lines: Lines) -> None:
        wait = wait_for(refreshing(started_at=in_seconds(-3600), polls=1, compute_units=1440))
        wait.log_summary()

        assert lines(logging.INFO) == ["no answer after 3600.0 s, 1 poll, 1,440 compute units"]
        assert clock.seconds == 0

    def test_without_a_log_the_modules_own_is_used(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        Polls(clock, refreshing(), log=None)("queued")

        assert [record.name for record in caplog.records] == ["airflow_provider_alchemy.waits.wait"]


def crossed(state: WaitState) -> Any:
    """Give a state as another process gets it."""
    return from_json(type(state), json.loads(json.dumps(to_json(state))))


WAIT = """
    "contract_address": "0xe9fca552b9eb110c2d170962af740725f71f5644", "network": "eth-mainnet",
    "started_at": "2026-11-22T10:00:00Z", "deadline": "2026-11-22T11:00:00Z",
    "execution_deadline": "2026-11-22T12:00:00Z", "submitted_at": "2026-11-22T10:00:01Z",
    "finished_at": "2026-11-22T10:05:00.500000Z", "status": "in_progress", "polls": 6, "compute_units": 2880,
    "usd_per_million_units": 0.4, "rounds": 5, "failures": 1, "logged_progress": 90.0
"""
PROGRESS = """{
    "polled_at": "2026-11-22T10:04:22Z", "since": "2026-11-22T10:01:15Z", "is_running": true,
    "idle_at": "2026-11-22T10:00:00Z", "base": {"at": "2026-11-22T10:01:15Z", "percent": 8.0},
    "last": {"at": "2026-11-22T10:04:22Z", "percent": 38.5}, "changed_at": "2026-11-22T10:04:22Z", "step": 1, "rises": 1
}"""
FORMS: dict[type[WaitState], str] = {
    ReingestState: f"""{WAIT},
        "reported_state": "warming_up", "logged_state": "queued", "percent": 38.5, "progress": {PROGRESS},
        "already_finished": true, "queue_failures": 2, "max_resubmits": 3
    """,
    BatchState: f"""{WAIT},
        "contracts": 300, "digest": "d1", "duplicates": 4, "already_finished": 7, "finished": "0-ff",
        "failed": {{"timeout": "100,102"}}, "running": "104"
    """,
    FreshnessState: f"""{WAIT},
        "fresh_since": "2026-11-22T10:00:00Z", "min_fresh": "0.5", "seed": 7, "sample_size": 3, "ids": "0-1,ff",
        "digest": "d2", "fresh": "0", "failed": {{"ipfs_timeout": "2"}}, "next_position": 1,
        "unreadable": 1, "unlisted": 2
    """,
    NewTokensState: f"""{WAIT},
        "min_tokens": 2, "confirmations": 12, "asked_block": null, "asked_time": "2026-11-22T10:00:00Z",
        "search": {{
            "moment": 1795341600.0, "low": 5, "high": 100, "marks": [[5, 1795341000.0], [100, 1795342000.0]],
            "answers": 2
        }},
        "since_block": null, "next_block": 0, "ids": "0-270f", "is_behind": true
    """,
}
EACH_STATE = pytest.mark.parametrize("state_type", FORMS)


def form_of(state_type: type[WaitState]) -> Any:
    return json.loads(f"{{{FORMS[state_type]}}}")


def progress_with(**values: Any) -> dict[str, Any]:
    return {"progress": {**json.loads(PROGRESS), **values}}


BROKEN: dict[type[WaitState], list[dict[str, Any]]] = {
    ReingestState: [
        {"progress": "38"},
        progress_with(step=1.5),
        *(progress_with(polled_at=at) for at in (None, "yesterday", "2026-11-22T10:00:00")),
        *(progress_with(last={"at": NOW.isoformat(), "percent": percent}) for percent in (101, math.nan, "much")),
        progress_with(base={"at": "2026-11-22T10:00:00", "percent": 1}),
    ],
    BatchState: [
        *({"finished": packed} for packed in (7, "no positions", "12c", "5-4", "-1")),
        *({"failed": packed} for packed in ("x", {"timeout": "x"}, {"timeout": "12c"})),
        {"running": "12c"},
        {"contracts": None},
    ],
    FreshnessState: [
        *({"ids": packed} for packed in (7, "x-y", "2-1", "-1")),
        *({"fresh": packed} for packed in (None, "3", "x")),
        *({"failed": packed} for packed in ("x", {"internal": "3"})),
        *({"min_fresh": share} for share in ("most", "1/0", 5)),
        {"fresh_since": None},
    ],
    NewTokensState: [*({"ids": packed} for packed in (5, "x", "2-1", "-1")), {"search": {"low": "x"}}],
}
BROKEN_ANYWHERE: list[dict[str, Any]] = [
    {"contract_address": 7},
    {"polls": "many"},
    {"failures": None},
    *({"deadline": at} for at in ("yesterday", "2026-11-22T10:00:00")),
]


class TestWhatTravels:
    @EACH_STATE
    def test_its_form_is_that_of_the_first_release(self, state_type: type[WaitState]) -> None:
        """A task that was deferred by the first release is resumed by this one: add fields, change none."""
        form, state = form_of(state_type), from_json(state_type, form_of(state_type))

        assert json.loads(json.dumps(to_json(state))) == form
        assert set(form) == {field.name for field in fields(state_type)}
        assert (state.started_at, state.finished_at) == (NOW, in_seconds(300.5))

    def test_the_parts_of_a_form_are_values(self) -> None:
        refresh, tokens = (from_json(kind, form_of(kind)) for kind in (ReingestState, NewTokensState))

        assert refresh.progress.last == Mark(in_seconds(262), 38.5)
        assert (tokens.search.found, tokens.search.next_block(200)) == (None, 52)

    @EACH_STATE
    def test_values_of_a_newer_version_are_left_out(self, state_type: type[WaitState]) -> None:
        form = form_of(state_type)

        assert from_json(state_type, form | {"from_the_future": {"a": 1}}) == from_json(state_type, form)

    @pytest.mark.parametrize("state_type", [ReingestState, NewTokensState])
    def test_what_an_earlier_version_did_not_write_takes_its_default(self, state_type: type[WaitState]) -> None:
        assert from_json(state_type, {"contract_address": CONTRACT}) == state_type(contract_address=CONTRACT)

    @EACH_STATE
    def test_what_is_broken_is_none(self, state_type: type[WaitState]) -> None:
        form = form_of(state_type)

        for data in (None, 7, "x", [], {}, *(form | values for values in BROKEN_ANYWHERE + BROKEN[state_type])):
            assert from_json(state_type, data) is None, data
