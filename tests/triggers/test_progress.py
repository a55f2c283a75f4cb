# SPDX-License-Identifier: Apache-2.0
"""How a trigger keeps its progress: when it saves, what it survives, whose the Variable is."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from airflow_provider_alchemy.api.batches import BatchRecord
from airflow_provider_alchemy.triggers.progress import Progress, ProgressVariable

from airflow_provider_alchemy.triggers import progress as module
from tests.tasks.batches import BatchInstance, Variables
from tests.tasks.batches import variables as variables  # noqa: PLC0414 - a fixture
from tests.waiting import until

LOG = logging.getLogger("tests.triggers.test_progress")


def variable(first_try: int = 1, try_number: int = 1, **place: Any) -> ProgressVariable:
    return ProgressVariable.of(BatchInstance(**place), first_try, try_number)


def record_of(finished: int = 0, contracts: int = 1000) -> BatchRecord:
    return BatchRecord(contracts=contracts, digest="d", network="eth-mainnet", finished=set(range(finished)))


def progress_of(of: ProgressVariable | None = None) -> Progress:
    return Progress(of or variable(), LOG)


class TestItsName:
    def test_it_is_short_however_long_the_parts_are(self) -> None:
        assert len(variable(dag_id="d" * 250, run_id="r" * 250, task_id="t" * 250).name) <= 60

    def test_it_says_whose_it_is(self) -> None:
        assert variable().name.startswith("alchemy_contracts_")

    @pytest.mark.parametrize("place", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 3}], ids=str)
    def test_each_task_instance_has_its_own(self, place: dict[str, Any]) -> None:
        assert variable(**place).name != variable().name

    def test_its_tries_share_it(self) -> None:
        assert variable(try_number=2).name == variable().name

    def test_its_description_names_the_task(self, variables: Variables) -> None:
        variable().write({}, "me")

        (description,) = variables.descriptions.values()
        assert "task 'refresh' of DAG 'nightly' is in run 'manual__1'" in (description or "")

    def test_it_crosses_json(self) -> None:
        first = variable()

        assert vars(ProgressVariable(**json.loads(json.dumps(first.to_dict())))) == vars(first)


class TestRecalling:
    async def test_what_was_kept_in_this_try_is_recalled(self, variables: Variables) -> None:
        variable().write(record_of(7).to_dict(), "an earlier trigger")

        assert await progress_of().recall() == record_of(7)
        assert variables.kept["try_number"] == 1

    @pytest.mark.usefixtures("variables")
    async def test_what_was_kept_in_another_try_is_not(self) -> None:
        variable(try_number=1).write(record_of(7).to_dict(), "an earlier trigger")

        assert await progress_of(variable(try_number=2)).recall() is None

    @pytest.mark.usefixtures("variables")
    async def test_what_was_kept_before_the_task_was_cleared_is_not(self) -> None:
        variable(first_try=1, try_number=2).write(record_of(7).to_dict(), "an earlier trigger")

        assert await progress_of(variable(first_try=2, try_number=2)).recall() is None

    @pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"first_try": 1, "try_number": 1, "record": 5}'])
    async def test_what_is_no_progress_is_left_alone(self, text: str, variables: Variables) -> None:
        variables.texts[variable().name] = text

        assert await progress_of().recall() is None

    async def test_a_store_out_of_reach_is_told_and_survived(
        self, variables: Variables, caplog: pytest.LogCaptureFixture
    ) -> None:
        variables.is_out_of_reach = True

        assert await progress_of().recall() is None
        assert "Could not read how far an earlier trigger was" in caplog.text


class TestSaving:
    async def test_it_is_saved_at_once_so_that_the_variable_is_this_triggers(self, variables: Variables) -> None:
        async with progress_of().keeping(record_of()):
            await until(lambda: variables.writes == 1)

    async def test_an_end_among_few_is_saved_at_once(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "UNSAVED_SECONDS", 3600)
        progress, record = progress_of(), record_of()
        async with progress.keeping(record):
            await until(lambda: variables.writes == 1)
            record.finish(0, already_finished=False)
            progress.changed()
            await until(lambda: variables.writes == 2)

        assert BatchRecord.read(variables.kept["record"]) == record

    async def test_a_small_share_is_saved_together(self, variables: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "UNSAVED_SECONDS", 3600)
        progress, record = progress_of(), record_of(500)
        async with progress.keeping(record):
            await until(lambda: variables.writes == 1)
            for position in range(500, 505):
                record.finish(position, already_finished=False)
                progress.changed()
                await asyncio.sleep(0)
            assert variables.writes == 1
            record.finish(506, already_finished=False)
            progress.changed()
            await until(lambda: variables.writes == 2)

        assert len(BatchRecord.read(variables.kept["record"]).finished) == 506  # type: ignore[union-attr]

    async def test_a_small_share_is_saved_after_a_while(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "UNSAVED_SECONDS", 0.05)
        progress, record = progress_of(), record_of(500)
        async with progress.keeping(record):
            await until(lambda: variables.writes == 1)
            record.running.add(900)
            progress.changed()
            await until(lambda: variables.writes == 2)

    async def test_what_does_not_change_is_not_saved_again(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "UNSAVED_SECONDS", 0.01)
        async with progress_of().keeping(record_of()):
            await until(lambda: variables.writes == 1)
            await asyncio.sleep(0.1)

        assert variables.writes == 1

    async def test_there_are_never_two_saves_at_once(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "UNSAVED_SECONDS", 0.001)
        under_way, most, lock = 0, 0, threading.Lock()
        write = variables.set

        def slowly(key: str, value: str, description: str | None = None) -> None:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            threading.Event().wait(0.01)
            write(key, value, description)
            with lock:
                under_way -= 1

        monkeypatch.setattr(variables, "set", slowly)
        progress, record = progress_of(), record_of()
        async with progress.keeping(record):
            for position in range(200):
                record.finish(position, already_finished=False)
                progress.changed()
                await asyncio.sleep(0.001)

        assert (most, BatchRecord.read(variables.kept["record"])) == (1, record)

    async def test_the_end_is_saved(self, variables: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "UNSAVED_SECONDS", 3600)
        progress, record = progress_of(), record_of(500)
        async with progress.keeping(record):
            await until(lambda: variables.writes == 1)
            record.finish(900, already_finished=False)
            progress.changed()

        assert BatchRecord.read(variables.kept["record"]) == record

    async def test_a_store_out_of_reach_is_told_once_and_tried_again(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(module, "UNSAVED_SECONDS", 0.01)
        variables.is_out_of_reach = True
        progress, record = progress_of(), record_of(3)
        async with progress.keeping(record):
            await until(lambda: variables.refusals > 2)
            variables.is_out_of_reach = False
            await until(lambda: variables.writes == 1)

        assert caplog.text.count("Could not save how far the batch is") == 1
        assert BatchRecord.read(variables.kept["record"]) == record

    async def test_cancelled_it_waits_for_a_save_that_is_under_way(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        began, may_end = threading.Event(), threading.Event()
        write = variables.set

        def slowly(key: str, value: str, description: str | None = None) -> None:
            began.set()
            may_end.wait(300)
            write(key, value, description)

        monkeypatch.setattr(variables, "set", slowly)

        async def keep() -> None:
            async with progress_of().keeping(record_of()):
                await asyncio.sleep(3600)

        task = asyncio.create_task(keep())
        await until(began.is_set)
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done()
        may_end.set()
        await asyncio.gather(task, return_exceptions=True)

        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert variables.writes == 1


class TestForgetting:
    async def test_it_deletes_its_own(self, variables: Variables) -> None:
        progress = progress_of()
        async with progress.keeping(record_of()):
            pass

        await progress.forget()

        assert variables.texts == {}

    async def test_it_leaves_what_another_trigger_has_taken_over(self, variables: Variables) -> None:
        moved, current = progress_of(), progress_of()
        async with moved.keeping(record_of()):
            await until(lambda: variables.writes == 1)
        async with current.keeping(record_of(5)):
            await until(lambda: variables.writes == 2)

            await moved.forget()

        assert len(BatchRecord.read(variables.kept["record"]).finished) == 5  # type: ignore[union-attr]

    async def test_a_trigger_that_never_ran_deletes_nothing(self, variables: Variables) -> None:
        variable().write(record_of(5).to_dict(), "another")

        await progress_of().forget()

        assert variables.texts


class TestNowhereToKeepIt:
    async def test_nothing_is_read_or_written(self, variables: Variables) -> None:
        progress = Progress(None, LOG)
        variables.is_out_of_reach = True

        assert await progress.recall() is None
        async with progress.keeping(record_of(3)):
            progress.changed()
        await progress.forget()

        assert (variables.writes, asyncio.all_tasks()) == (0, {asyncio.current_task()})
