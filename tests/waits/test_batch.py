# SPDX-License-Identifier: Apache-2.0
"""A batch: how its contracts end, what ends it as a whole, when it reports its progress, what it costs and returns."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import PERMANENT_REASONS, AlchemyError
from airflow_provider_alchemy.api.inputs import allowed_failures
from airflow_provider_alchemy.api.packing import pack_ids, unpack_ids
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.batch import MAX_IN_FLIGHT, Batch, BatchState, BatchWait
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.poller import CONNECTIONS, Poller
from airflow_provider_alchemy.waits.wait import from_json, to_json

from .service import LOG, NOW, PRICE, SOURCE, Clock, Service, address, in_seconds

REASONS = ["does_not_exist", "queue_failed", "timeout", "server_error", "a_reason_of_tomorrow"]
SUBJECT = "Batch of 10 contracts on eth-mainnet (connection 'mine')"
NO_HOST = errors.AlchemyHostNotFoundError("no such host")


def batch_of(contracts: int = 10, **values: Any) -> Batch:
    state = BatchState(contracts=contracts, digest="d", network="eth-mainnet", **values)
    return Batch(state, [address(number) for number in range(contracts)])


def wait_for_all(batch: Batch, seconds: float = 60, **rules: Any) -> BatchWait:
    defaults: dict[str, Any] = {"interval": Interval(seconds=seconds), "log": LOG, "max_consecutive_failures": 2}
    return BatchWait(batch, source=SOURCE, **defaults | rules)


def crossed(batch: Batch) -> Batch:
    """Give a batch as the next process gets it."""
    return Batch(from_json(BatchState, json.loads(json.dumps(to_json(batch.pack())))), batch.addresses)


class Refreshes(Service):
    """
    A service whose refreshes run in the clock's time.

    :param seconds: How long each runs.
    :param others: What it answers for some contracts instead, by number.
    """

    def __init__(self, clock: Clock, seconds: float = 0, others: dict[int, Any] | None = None, **settings: Any) -> None:
        super().__init__(answer=self._answer, **settings)
        self._clock = clock
        self._seconds = seconds
        self._others = {address(number): answer for number, answer in (others or {}).items()}
        self._began_at: dict[str, float] = {}
        self.finished = 0
        self.most_running = 0

    def _answer(self, call: Any) -> Any:
        contract = call.params["contractAddress"]
        if contract in self._others:
            return self._others[contract]
        began_at = self._began_at.setdefault(contract, self._clock.seconds)
        self.most_running = max(self.most_running, len(self._began_at) - self.finished)
        if self._clock.seconds < began_at + self._seconds:
            return "in_progress"
        self.finished += 1
        return "finished"


def lead(clock: Clock, batch: Batch, service: Service, **rules: Any) -> tuple[Batch, int]:
    """Lead a batch through its processes to its end; give it, and how many of them reported progress."""
    for reports in range(1000):
        if clock.run(wait_for_all(batch, **rules).run(service)):
            return batch, reports
        batch = crossed(batch)
    pytest.fail("the batch never ends")


class TestTheEnds:
    def test_all_finish_and_none_is_polled_after_its_end(self, clock: Clock) -> None:
        service = Refreshes(clock, 600)
        batch, _ = lead(clock, batch_of(50), service)

        assert (len(batch.finished), batch.failures, batch.state.already_finished) == (50, 0, 0)
        assert service.finished == 50
        assert (batch.state.submitted_at, batch.state.finished_at) == (NOW, in_seconds(clock.seconds))
        assert batch.state.compute_units == batch.state.polls * PRICE == len(service.calls) * PRICE

    def test_each_failure_has_its_reason_and_spoils_no_other(self, clock: Clock) -> None:
        others = {
            1: "does_not_exist",
            2: "queue_failed",
            3: "queued",
            4: errors.AlchemyServerError("500"),
            5: errors.AlchemyBadAnswerError("html"),
            6: errors.AlchemyUnexpectedAnswerError("no state"),
            7: errors.AlchemyRateLimitError("429"),
        }
        batch, _ = lead(clock, batch_of(20, deadline=in_seconds(3600)), Refreshes(clock, 100, others))

        assert batch.failed == {
            "does_not_exist": {1},
            "queue_failed": {2},
            "timeout": {3, 7},
            "server_error": {4},
            "bad_answer": {5},
            "unexpected_answer": {6},
        }
        assert batch.finished == {0, *range(8, 20)}
        assert batch.running == {3}

    def test_a_refresh_that_could_not_be_queued_is_submitted_again(self, clock: Clock) -> None:
        failures = dict.fromkeys(range(5), 0)

        def answer(call: Any) -> str:
            number = int(call.params["contractAddress"], 16)
            failures[number] += 1
            return "queue_failed" if failures[number] <= 2 else "finished"

        batch, reports = lead(clock, batch_of(5), Service(answer=answer), max_resubmits=2)

        assert (len(batch.finished), batch.state.polls, reports <= 5) == (5, 15, True)

    def test_one_that_was_finished_at_its_first_answer_is_counted(self, clock: Clock) -> None:
        batch, _ = lead(clock, batch_of(5), Refreshes(clock, 100, {1: "finished"}))

        assert batch.state.already_finished == 1

    @pytest.mark.integration
    @pytest.mark.usefixtures("quick_backoff")
    async def test_what_it_says_it_spent_is_what_was_billed(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)
        emulator.add_fault("http", status=500, times=3)
        settings = {"api_key": emulator.api_key, "host": emulator.url, "compute_units_per_second": 10**6}
        poller, batch = Poller(ClientSettings(**settings)), batch_of(50)  # type: ignore[arg-type]
        try:
            while not await wait_for_all(batch, 0.05).run(poller):
                batch = crossed(batch)
        finally:
            await poller.aclose()

        assert len(batch.finished) == 50
        assert (batch.state.polls, batch.state.compute_units) == (emulator.count(), emulator.compute_units)


class TestManyContracts:
    def test_at_most_a_thousand_are_waited_for_at_once(self, clock: Clock) -> None:
        service = Refreshes(clock, 90)
        batch, reports = lead(clock, batch_of(2_500), service)

        assert (len(batch.finished), service.most_running) == (2_500, MAX_IN_FLIGHT)
        assert reports <= 10

    def test_the_progress_is_reported_after_a_tenth_of_them(self, clock: Clock) -> None:
        batch = batch_of(1_000)
        seconds = iter(range(10_000))

        def answer(_: Any) -> Any:
            return asyncio.sleep(next(seconds) / 100, "finished")

        assert clock.run(wait_for_all(batch).run(Service(answer=answer))) is False

        assert 100 <= batch.ended <= 100 + CONNECTIONS

    def test_the_progress_is_reported_after_fifteen_minutes(self, clock: Clock) -> None:
        batch = batch_of(5)

        assert clock.run(wait_for_all(batch).run(Refreshes(clock, 10**6))) is False

        assert (clock.seconds, crossed(batch).running) == (900, set(range(5)))

    def test_a_small_batch_reports_no_more_often_than_it_has_contracts(self, clock: Clock) -> None:
        assert lead(clock, batch_of(3), Refreshes(clock, 90))[1] <= 2

    def test_a_report_waits_for_calls_that_are_under_way_and_makes_no_more(self, clock: Clock) -> None:
        answers = iter([(0, "finished"), *[(5, "finished")] * 9, *[(7, "queued")] * 2])
        batch, service = batch_of(12), Service(answer=lambda _: asyncio.sleep(*next(answers)))

        assert clock.run(wait_for_all(batch).run(service)) is False

        assert (batch.finished, len(service.calls), clock.seconds) == (set(range(10)), 12, 7)

    def test_contracts_that_were_not_begun_at_the_deadline_are_not_submitted(self, clock: Clock) -> None:
        service = Refreshes(clock, 10**6)
        batch, _ = lead(clock, batch_of(1_500, deadline=in_seconds(300)), service, seconds=200)

        assert batch.failed == {"timeout": set(range(1_500))}
        assert set(service.contracts) == {address(number) for number in range(MAX_IN_FLIGHT)}
        polls = zip(service.contracts, service.asked_at, strict=True)
        assert len({contract for contract, at in polls if at >= 300}) == MAX_IN_FLIGHT, "each is polled once more"

    @pytest.mark.parametrize(
        ("limits", "reason"),
        [({"deadline": 100}, "timeout"), ({"deadline": 900, "execution_deadline": 100}, "execution_timeout")],
        ids=["timeout", "execution_timeout"],
    )
    @pytest.mark.parametrize("answer", ["queued", None], ids=["pending", "no room for a call"])
    def test_they_fail_at_a_deadline(
        self, limits: dict[str, float], reason: str, answer: str | None, clock: Clock
    ) -> None:
        service = Service(answer=lambda _: answer or asyncio.sleep(10**6), timeout=30)
        moments = {name: in_seconds(seconds) for name, seconds in limits.items()}
        batch, _ = lead(clock, batch_of(100, **moments), service)

        assert batch.failed == {reason: set(range(100))}
        assert clock.seconds <= 130


class TestWhatConcernsTheAccount:
    ERRORS = (
        errors.AlchemyAuthenticationError,
        errors.AlchemyQuotaError,
        errors.AlchemyNetworkError,
        errors.AlchemyHostNotFoundError,
        errors.AlchemyEndpointGoneError,
        errors.AlchemyConfigurationError,
    )

    @pytest.mark.parametrize("error_type", ERRORS)
    def test_it_stops_a_thousand_contracts_with_one_call(self, error_type: type[AlchemyError], clock: Clock) -> None:
        batch, service = batch_of(1_000), Service(answer=lambda _: asyncio.sleep(0.1, error_type("x")))

        with pytest.raises(error_type):
            clock.run(wait_for_all(batch).run(service))

        assert (len(service.calls), batch.ended, batch.state.polls) == (1, 0, 1)

    def test_calls_that_are_under_way_end_and_count(self, clock: Clock) -> None:
        def answer(call: Any) -> Any:
            number = int(call.params["contractAddress"], 16)
            error = errors.AlchemyAuthenticationError("HTTP 401")
            return error if number == 30 else asyncio.sleep(1, "finished" if number % 2 else "queued")

        batch, service = batch_of(1_000), Service(answer=answer)

        with pytest.raises(errors.AlchemyAuthenticationError):
            clock.run(wait_for_all(batch).run(service))

        assert batch.finished == set(range(1, 30, 2))
        assert (len(service.calls), batch.state.compute_units) == (31, 30 * PRICE)

    @pytest.mark.parametrize("known", [{}, {"finished": "0"}, {"running": "1"}], ids=["in this process", "1", "2"])
    def test_a_host_that_has_answered_is_waited_out(self, known: dict[str, str], clock: Clock) -> None:
        answers = iter([*([] if known else ["queued"]), *[NO_HOST] * 2])
        batch, _ = lead(clock, batch_of(10, **known), Service(answer=lambda _: next(answers, "finished")))

        assert len(batch.finished) == 10

    def test_an_error_of_its_own_ends_it_loudly(self, clock: Clock) -> None:
        async def run() -> set[Any]:
            with pytest.raises(ZeroDivisionError):
                await wait_for_all(batch_of(100)).run(Service(answer=lambda _: ZeroDivisionError("a bug")))
            return asyncio.all_tasks() - {asyncio.current_task()}

        assert clock.run(run()) == set()

    def test_cancelled_it_leaves_no_task(self, clock: Clock) -> None:
        answers = iter(["queued"] * 600)
        service = Service(answer=lambda _: next(answers, None) or asyncio.sleep(10**6))

        async def run() -> set[Any]:
            running = asyncio.create_task(wait_for_all(batch_of(500)).run(service))
            await asyncio.sleep(100)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return asyncio.all_tasks() - {asyncio.current_task()}

        assert clock.run(run()) == set()
        assert clock.seconds == 100


class TestTheSpendingLimit:
    @pytest.mark.parametrize("polls", [1, 7, 50, 333])
    def test_it_is_shared_and_never_exceeded(self, polls: int, clock: Clock) -> None:
        batch, service = batch_of(100), Service(answer=lambda _: asyncio.sleep(0.1, "queued"))

        with pytest.raises(errors.AlchemySpendingLimitError):
            clock.run(wait_for_all(batch, max_compute_units=polls * PRICE + 100).run(service))

        assert len(service.calls) == batch.state.polls == polls
        assert batch.state.compute_units == polls * PRICE

    def test_every_answer_that_was_paid_for_counts_and_the_error_says_how_far_it_was(self, clock: Clock) -> None:
        batch = batch_of(1_000)
        service = Service(answer=lambda _: asyncio.sleep(0.1, "finished"))

        with pytest.raises(errors.AlchemySpendingLimitError) as caught:
            clock.run(wait_for_all(batch, max_compute_units=60 * PRICE).run(service))

        assert len(batch.finished) == 60
        assert "Batch of 1,000 contracts on eth-mainnet" in str(caught.value)
        assert "940 of the refreshes had not ended when the task had spent 28,800 compute units" in str(caught.value)
        assert "max_compute_units is 28,800" in str(caught.value)

    def test_what_earlier_processes_spent_counts(self, clock: Clock) -> None:
        batch, service = batch_of(10, polls=5, compute_units=5 * PRICE), Service(answer=lambda _: "queued")

        with pytest.raises(errors.AlchemySpendingLimitError):
            clock.run(wait_for_all(batch, max_compute_units=9 * PRICE).run(service))

        assert len(service.calls) == 4

    def test_a_call_that_was_not_billed_leaves_its_price(self, clock: Clock) -> None:
        answers = iter([errors.AlchemyRateLimitError("429")] * 2)
        service = Service(answer=lambda _: next(answers, "finished"))
        batch, _ = lead(clock, batch_of(4), service, max_compute_units=4 * PRICE)

        assert (len(batch.finished), len(service.calls)) == (4, 6)


class TestGoingOn:
    def test_only_what_has_not_ended_is_asked_for(self, clock: Clock) -> None:
        service = Refreshes(clock)
        batch, _ = lead(clock, batch_of(10, finished="0-2", failed={"does_not_exist": "3"}, running="5"), service)

        assert set(service.contracts) == {address(number) for number in range(4, 10)}
        assert batch.finished == {0, 1, 2, *range(4, 10)}
        assert batch.state.already_finished == 5, "the one that was known to run was not finished before"

    def test_with_nothing_left_nothing_is_asked(self, clock: Clock) -> None:
        service = Service()

        assert lead(clock, batch_of(2, finished="0-1"), service)[1] == 0
        assert service.calls == []


class TestItsLog:
    def test_twenty_failures_have_a_line_and_no_more(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        others = dict.fromkeys(range(0, 1_000, 5), "does_not_exist")
        lead(clock, batch_of(1_000), Refreshes(clock, 90, others))

        lines = [record.message for record in caplog.records]
        assert len(lines) == 20 + 1
        assert sum(" failed (does_not_exist): " in line for line in lines) == 20
        assert sum("Further failures are not logged" in line for line in lines) == 1


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    size = draw(st.integers(1, 300))
    ends = draw(st.dictionaries(st.integers(0, size - 1), st.sampled_from([*REASONS, "finished", "running"])))
    batch = batch_of(size, polls=draw(st.integers(0, 10**6)), submitted_at=NOW)
    for position, end in ends.items():
        if end in {"finished", "running"}:
            getattr(batch, end).add(position)
        else:
            batch.failed.setdefault(end, set()).add(position)
    return batch


def listed_in(result: dict[str, Any]) -> list[str]:
    return [*result["finished"], *(contract for contracts in result["failed"].values() for contract in contracts)]


class TestItsState:
    @given(st.lists(st.integers(0, 2**256 - 1), max_size=50) | st.sets(st.integers(0, 60)).map(sorted))
    def test_positions_and_tokens_are_packed_without_loss(self, ids: list[int]) -> None:
        assert list(unpack_ids(pack_ids(ids))) == ids

    @given(batches())
    def test_it_is_the_same_on_the_other_side(self, batch: Batch) -> None:
        again = crossed(batch)

        assert again.state == batch.state
        assert (again.finished, again.failed, again.running) == (batch.finished, batch.failed, batch.running)

    @given(batches())
    def test_the_result_lists_each_contract_that_has_ended_once_and_all_where_it_was_stopped(
        self, batch: Batch
    ) -> None:
        result = batch.result()
        stopped = batch.result(errors.AlchemyAuthenticationError("refused"))

        assert batch.ended + len(batch.pending()) == batch.state.contracts
        assert len(set(listed_in(result))) == len(listed_in(result)) == batch.ended
        assert result["counts"]["finished"] + result["counts"]["failed"] == batch.ended
        assert sorted(listed_in(stopped)) == batch.addresses
        assert json.loads(json.dumps(result)) == result

    @given(batches())
    def test_a_new_try_keeps_what_finished_and_what_no_try_changes(self, batch: Batch) -> None:
        final = set().union(*(found for reason, found in batch.failed.items() if reason in PERMANENT_REASONS))
        again = crossed(batch)
        again.begin_new_try()

        assert set(range(batch.state.contracts)) - set(again.pending()) == batch.finished | final
        assert (again.state.deadline, again.running) == (None, batch.running)

    def test_ten_thousand_contracts_with_every_tenth_failed_fit_in_twenty_kilobytes(self) -> None:
        batch = batch_of(10_000)
        batch.finished = {number for number in range(10_000) if number % 10}
        batch.failed = {reason: set(range(at * 10, 10_000, 50)) for at, reason in enumerate(REASONS)}

        assert len(json.dumps(to_json(batch.pack()))) < 20_000

    @pytest.mark.parametrize(
        ("error", "runs"),
        [
            (errors.AlchemyDeadlineError("over"), True),
            (errors.AlchemyServerError("500"), True),
            (errors.AlchemyQueueFailedError("q"), False),
            (errors.AlchemyNoSuchCollectionError("d"), False),
        ],
        ids=str,
    )
    def test_one_that_fails_here_may_still_run_at_alchemy(self, error: AlchemyError, *, runs: bool) -> None:
        batch = batch_of(running="3,5")
        batch.fail(3, error)
        batch.finish(5, already_finished=False)

        assert batch.running == ({3} if runs else set())

    def test_its_result_is_what_is_documented(self) -> None:
        batch = batch_of(
            finished="1,9", failed={"timeout": "2,8", "does_not_exist": "3"}, already_finished=1, duplicates=4
        )

        assert batch.result() == {
            "network": "eth-mainnet",
            "counts": {"contracts": 10, "finished": 2, "failed": 3, "already_finished": 1, "duplicates": 4},
            "finished": [address(1), address(9)],
            "failed": {"does_not_exist": [address(3)], "timeout": [address(2), address(8)]},
            "polls": 0,
            "compute_units": 0,
            "usd": None,
            "submitted_at": None,
            "finished_at": None,
        }


class TestItsVerdict:
    @pytest.mark.parametrize(
        ("max_failed", "contracts", "allowed"),
        [(0, 10, 0), (3, 10, 3), (0.0, 10, 0), (1.0, 10, 10), (1, 10, 1), (0.29, 100, 29), (0.05, 10, 0), (0.1, 30, 3)],
    )
    def test_an_int_is_a_number_and_a_float_a_share(self, max_failed: float, contracts: int, allowed: int) -> None:
        assert allowed_failures(max_failed, contracts) == allowed

    @pytest.mark.parametrize(
        ("failed", "max_failed", "error_type", "is_permanent"),
        [
            ({"timeout": "1", "does_not_exist": "2"}, 2, None, False),
            ({"server_error": "1", "does_not_exist": "2"}, 1, errors.AlchemyContractsFailedError, False),
            ({"server_error": "1", "does_not_exist": "2-3"}, 1, errors.AlchemyContractsFailedError, True),
            ({"timeout": "1-2"}, 0, errors.AlchemyDeadlineError, False),
            ({"timeout": "1", "execution_timeout": "2"}, 0, errors.AlchemyDeadlineError, False),
            ({"execution_timeout": "1-2"}, 0, errors.AlchemyExecutionDeadlineError, False),
            ({"timeout": "1", "queue_failed": "2"}, 0, errors.AlchemyContractsFailedError, False),
            ({"a_reason_of_tomorrow": "1"}, 0, errors.AlchemyContractsFailedError, False),
        ],
        ids=str,
    )
    def test_it_is(
        self, failed: dict[str, str], max_failed: float, error_type: type[AlchemyError] | None, *, is_permanent: bool
    ) -> None:
        error = batch_of(failed=failed).error(max_failed, SUBJECT)

        assert type(error) is (error_type or type(None))
        assert error is None or error.is_permanent is is_permanent

    def test_it_counts_by_reason_and_names_five(self) -> None:
        text = str(batch_of(failed={"server_error": "1-3", "does_not_exist": "0,4-6"}).error(5, SUBJECT))

        words = "7 of 10 contracts failed (does_not_exist 4, server_error 3), and max_failed allows 5"
        assert f"{SUBJECT}: {words}: " in text
        assert [address(number) in text for number in range(6)] == [True] * 5 + [False]
        assert "and 2 more" in text
