# SPDX-License-Identifier: Apache-2.0
"""A batch against a real server: how its contracts end, what ends it as a whole, what it costs and leaves behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pendulum
import pytest
from airflow_provider_alchemy.api.batch_run import BatchRun
from airflow_provider_alchemy.api.batches import BatchRecord
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.polling import CONNECTIONS, Poller

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyNetworkError,
    AlchemyQuotaError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.waiting import until

from .conftest import USUAL

pytestmark = pytest.mark.integration

PRICE = 480


def address(number: int) -> str:
    return f"0x{number:040x}"


def in_seconds(seconds: float) -> str:
    return pendulum.now("UTC").add(seconds=seconds).isoformat()


@asynccontextmanager
async def poller_of(emulator: AlchemyEmulator, **settings: Any) -> AsyncIterator[Poller]:
    poller = Poller(ClientSettings(**USUAL | {"api_key": emulator.api_key, "host": emulator.url} | settings))
    try:
        yield poller
    finally:
        await poller.aclose()


def batch_of(poller: Any, contracts: int, *, record: BatchRecord | None = None, **options: Any) -> BatchRun:
    known = {name: options.pop(name) for name in ("deadline", "execution_deadline") if name in options}
    record = record or BatchRecord(contracts=contracts, digest="d", network="eth-mainnet", **known)
    defaults: dict[str, Any] = {
        "cadence": Cadence(interval_seconds=0.05),
        "log": logging.getLogger(__name__),
        "max_consecutive_failures": 2,
        "max_resubmits": 1,
    }
    return BatchRun(poller, [address(number) for number in range(contracts)], record, **{**defaults, **options})


async def ended(emulator: AlchemyEmulator, contracts: int, **options: Any) -> tuple[BatchRecord, AlchemyError | None]:
    settings = {name: options.pop(name) for name in ("timeout", "compute_units_per_second") if name in options}
    async with poller_of(emulator, **settings) as poller:
        batch = batch_of(poller, contracts, **options)
        return batch.record, await batch.run()


class ScriptedPoller:
    """A poller that answers what a test says."""

    def __init__(self, answer: Callable[[str], Any], timeout: float = 5) -> None:
        self._answer = answer
        self.settings = ClientSettings(**USUAL | {"api_key": "some-key", "timeout": timeout})

    async def next_status(self, contract_address: str, **_: Any) -> RefreshStatus:
        await asyncio.sleep(0)
        answer = self._answer(contract_address)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return RefreshStatus(contract_address=contract_address, network="eth-mainnet", state=RefreshState.read(answer))


class TestTheEnds:
    async def test_all_finish(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)

        record, error = await ended(emulator, 50)

        assert (len(record.finished), record.failed, record.already_finished, error) == (50, {}, 0, None)

    async def test_no_contract_is_asked_for_after_its_end(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(after_finished="restart")
        emulator.set_default_job(running_seconds=0.2)

        await ended(emulator, 50)

        assert [call.state for call in emulator.calls].count("finished") == 50

    @pytest.mark.usefixtures("quick_backoff")
    async def test_what_it_says_it_spent_is_what_was_billed(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)
        emulator.add_fault("http", status=429, message="compute units per second", times=3)

        record, _ = await ended(emulator, 50)

        assert (record.polls, record.compute_units) == (emulator.count(), emulator.compute_units)

    @pytest.mark.usefixtures("quick_backoff")
    async def test_each_failure_has_its_reason_and_spoils_no_other(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)
        emulator.set_job(address(1), outcome="does_not_exist")
        emulator.set_job(address(2), outcome="queue_failed")
        emulator.set_job(address(3), queued_seconds=600)
        emulator.add_fault("http", status=500, contract_address=address(4))
        emulator.add_fault("html", contract_address=address(5))
        emulator.add_fault("wrong_types", contract_address=address(6))

        record, error = await ended(emulator, 20, deadline=in_seconds(1.5))

        assert error is None
        assert record.failed == {
            "does_not_exist": {1},
            "queue_failed": {2},
            "timeout": {3},
            "server_error": {4},
            "bad_answer": {5},
            "unexpected_answer": {6},
        }
        assert record.finished == {0, *range(7, 20)}

    @pytest.mark.usefixtures("quick_backoff")
    async def test_a_refresh_that_could_not_be_queued_is_submitted_again(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0, queue_failures=2)

        record, _ = await ended(emulator, 5, max_resubmits=2)

        assert (len(record.finished), emulator.count()) == (5, 15)

    async def test_one_that_was_finished_at_its_first_answer_is_counted(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)
        emulator.set_job(address(1), running_seconds=0)

        record, _ = await ended(emulator, 5)

        assert record.already_finished == 1

    async def test_it_says_when_it_began_and_ended(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)
        began = pendulum.now("UTC").isoformat()

        record, _ = await ended(emulator, 5)

        assert began <= (record.submitted_at or "") < (record.finished_at or "") <= pendulum.now("UTC").isoformat()


class TestDeadlines:
    async def test_each_contract_is_looked_at_once_more_before_it_fails(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        deadline = pendulum.now("UTC").add(seconds=0.5)

        await ended(emulator, 20, deadline=deadline.isoformat(), cadence=Cadence(interval_seconds=60))

        late = {call.contract_address for call in emulator.calls if call.at >= deadline.timestamp() - 0.001}
        assert len(late) == 20

    async def test_execution_timeout_has_a_reason_of_its_own(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)

        record, _ = await ended(emulator, 3, deadline=in_seconds(3600), execution_deadline=in_seconds(0.2))

        assert record.failed == {"execution_timeout": {0, 1, 2}}

    @pytest.mark.parametrize(
        ("limits", "reason"),
        [
            ({"deadline": 0.1}, "timeout"),
            ({"deadline": 3600, "execution_deadline": 0.1}, "execution_timeout"),
        ],
    )
    async def test_where_the_throughput_leaves_no_room_they_fail_all_the_same(
        self, limits: dict[str, float], reason: str
    ) -> None:
        poller = ScriptedPoller(lambda _: asyncio.sleep(86_400), timeout=0.2)
        moments: dict[str, Any] = {name: in_seconds(seconds) for name, seconds in limits.items()}
        batch = batch_of(poller, 100, **moments)

        assert await batch.run() is None

        assert batch.record.failed == {reason: set(range(100))}


class TestWhatConcernsTheAccount:
    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ({"kind": "http", "status": 401}, AlchemyAuthenticationError),
            ({"kind": "http", "status": 403, "message": "Monthly capacity limit exceeded."}, AlchemyQuotaError),
            ({"kind": "network_disabled"}, AlchemyNetworkError),
            ({"kind": "http", "status": 410}, AlchemyEndpointGoneError),
        ],
        ids=str,
    )
    async def test_it_stops_a_thousand_contracts_with_one_call(
        self, fault: dict[str, Any], kind: type[AlchemyError], emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault(**fault)

        record, error = await ended(emulator, 1000)

        assert (type(error), emulator.count(), record.ended) == (kind, 1, 0)

    async def test_in_the_middle_it_stops_all_with_the_calls_that_are_under_way(
        self, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_default_job(queued_seconds=600)
        async with poller_of(emulator) as poller:
            batch = batch_of(poller, 200)
            running = asyncio.create_task(batch.run())
            await until(lambda: emulator.count() >= 300)
            emulator.add_fault("http", status=401)
            before = emulator.count()
            error = await running

        assert isinstance(error, AlchemyAuthenticationError)
        assert emulator.count() - before <= 2 * CONNECTIONS

    async def test_what_has_ended_before_is_kept(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.add_fault("http", status=401, contract_address=address(900))

        record, error = await ended(emulator, 1000)

        assert isinstance(error, AlchemyAuthenticationError)
        assert 0 < record.ended == [call.state for call in emulator.calls].count("finished")

    async def test_an_unknown_host_stops_it(self) -> None:
        batch = batch_of(ScriptedPoller(lambda _: AlchemyHostNotFoundError("no such host")), 1000)

        assert isinstance(await batch.run(), AlchemyHostNotFoundError)

    @pytest.mark.usefixtures("quick_backoff")
    async def test_a_host_that_has_answered_is_waited_out(self) -> None:
        answers = iter(["queued", *[AlchemyHostNotFoundError("no such host")] * 10])
        batch = batch_of(ScriptedPoller(lambda _: next(answers, "finished")), 10, max_consecutive_failures=10)

        assert await batch.run() is None

        assert len(batch.record.finished) == 10

    @pytest.mark.usefixtures("quick_backoff")
    async def test_a_host_that_answered_an_earlier_process_is_waited_out(self) -> None:
        record = BatchRecord(contracts=3, digest="d", network="eth-mainnet", finished={0})
        answers = iter([AlchemyHostNotFoundError("no such host")] * 2)
        batch = batch_of(ScriptedPoller(lambda _: next(answers, "finished")), 3, record=record)

        assert await batch.run() is None


class TestTheSpendingLimit:
    @pytest.mark.parametrize("polls", [1, 7, 50, 333])
    async def test_it_is_never_exceeded(self, polls: int, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)

        record, error = await ended(emulator, 100, max_compute_units=polls * PRICE + 100)

        assert isinstance(error, AlchemySpendingLimitError)
        assert emulator.compute_units == record.compute_units == polls * PRICE

    async def test_it_says_how_far_the_batch_was(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)

        _, error = await ended(emulator, 100, max_compute_units=60 * PRICE)

        assert "Batch of 100 contracts on eth-mainnet" in str(error)
        assert "40 of the refreshes had not ended when the task had spent 28,800 compute units" in str(error)
        assert "max_compute_units is 28800" in str(error)

    async def test_every_answer_that_was_paid_for_counts(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.add_fault("slow", seconds=0.1)

        record, _ = await ended(emulator, 100, max_compute_units=60 * PRICE)

        assert len(record.finished) == 60

    async def test_what_earlier_processes_spent_counts(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        record = BatchRecord(contracts=10, digest="d", network="eth-mainnet", polls=5, compute_units=5 * PRICE)

        await ended(emulator, 10, record=record, max_compute_units=9 * PRICE)

        assert (emulator.count(), record.polls) == (4, 9)

    @pytest.mark.usefixtures("quick_backoff")
    async def test_a_call_that_was_not_billed_leaves_its_price(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.add_fault("http", status=429, message="compute units per second", times=2)

        record, error = await ended(emulator, 4, max_compute_units=4 * PRICE)

        assert (error, len(record.finished), emulator.compute_units) == (None, 4, 4 * PRICE)


class TestGoingOn:
    async def test_only_what_has_not_ended_is_asked_for(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        record = BatchRecord(
            contracts=10, digest="d", network="eth-mainnet", finished={0, 1, 2}, failed={"does_not_exist": {3}}
        )

        await ended(emulator, 10, record=record)

        assert {call.contract_address for call in emulator.calls} == {address(number) for number in range(4, 10)}
        assert record.finished == {0, 1, 2, *range(4, 10)}

    async def test_a_refresh_that_was_known_to_run_was_not_finished_before(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        record = BatchRecord(contracts=10, digest="d", network="eth-mainnet", running={0, 1, 2})

        await ended(emulator, 10, record=record)

        assert record.already_finished == 7

    async def test_with_nothing_left_nothing_is_asked(self, emulator: AlchemyEmulator) -> None:
        record = BatchRecord(contracts=2, digest="d", network="eth-mainnet", finished={0, 1})

        assert (await ended(emulator, 2, record=record))[1] is None

        assert emulator.count() == 0

    async def test_which_refreshes_run_is_known_as_soon_as_they_were_answered(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)

        record, _ = await ended(emulator, 10, deadline=in_seconds(0.3))

        assert record.running == set(range(10))


class TestWhatItLeavesBehind:
    async def test_cancelled_it_leaves_no_task(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        async with poller_of(emulator) as poller:
            running = asyncio.create_task(batch_of(poller, 500).run())
            await until(lambda: emulator.count() >= 600)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_cancelled_while_a_call_hangs_it_ends_at_once(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("hang")
        async with poller_of(emulator) as poller:
            running = asyncio.create_task(batch_of(poller, 5).run())
            await until(lambda: emulator.count() > 0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    async def test_an_error_of_its_own_ends_it_loudly(self) -> None:
        batch = batch_of(ScriptedPoller(lambda _: ZeroDivisionError("a bug")), 100)

        with pytest.raises(ZeroDivisionError):
            await batch.run()

        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_ten_thousand_waits_are_no_ten_thousand_tasks(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        async with poller_of(emulator) as poller:
            running = asyncio.create_task(batch_of(poller, 10_000, cadence=Cadence(interval_seconds=60)).run())
            await until(lambda: emulator.count() >= 100)
            tasks = len(asyncio.all_tasks())
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        assert tasks < 150


class TestItsLog:
    async def lines(
        self, emulator: AlchemyEmulator, caplog: pytest.LogCaptureFixture, contracts: int, **options: Any
    ) -> list[str]:
        caplog.set_level(logging.INFO)
        await ended(emulator, contracts, **options)
        return [record.message for record in caplog.records if record.name == __name__]

    async def test_a_thousand_contracts_are_nine_lines(
        self, emulator: AlchemyEmulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        emulator.set_default_job(running_seconds=0.2)

        assert len(await self.lines(emulator, caplog, 1000)) == 9

    async def test_each_says_how_far_the_batch_is(
        self, emulator: AlchemyEmulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        emulator.set_default_job(running_seconds=0)

        lines = await self.lines(emulator, caplog, 1000)

        assert [line.split("): ")[1].split(" ended")[0] for line in lines] == [
            f"{number} of 1,000" for number in range(100, 1000, 100)
        ]
        assert lines[0].startswith("Batch of 1,000 contracts on eth-mainnet (")
        assert "(100 finished, 0 failed), " in lines[0]
        assert " polls, " in lines[0]
        assert lines[0].endswith(" compute units")

    async def test_twenty_failures_are_told_and_no_more(
        self, emulator: AlchemyEmulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        emulator.set_default_job(outcome="does_not_exist")

        lines = await self.lines(emulator, caplog, 1000)

        told = [line for line in lines if " failed (does_not_exist): " in line]
        assert (len(told), len(lines)) == (20, 30)
        assert any("Further failures are not logged" in line for line in lines)
