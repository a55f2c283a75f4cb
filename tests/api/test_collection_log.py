# SPDX-License-Identifier: Apache-2.0
"""What people read while a collection is refreshed: its price, each tenth of it, each new try, and the end."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow_provider_alchemy.api.collection_log import CollectionLog
from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method, Stage
from airflow_provider_alchemy.api.token_groups import TokenGroup

from airflow_provider_alchemy.api.errors import AlchemyRequestError, AlchemyServerError

NOW = 1_800_000_000.0


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.levels: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.levels.append(record.levelname)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def log(lines: Lines) -> CollectionLog:
    logger = logging.getLogger(f"{__name__}.{id(lines)}")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(lines)
    return CollectionLog(logger, "Collection 0xabc")


def record_of(method: Method = Method.BATCH, **known: Any) -> CollectionRecord:
    record = CollectionRecord.begin("0xabc", "eth-mainnet", method)
    for name, value in known.items():
        setattr(record, name, value)
    return record


def settle(record: CollectionRecord, log: CollectionLog, hundreds: int) -> None:
    for _ in range(hundreds):
        chunk = record.take()
        assert chunk is not None
        record.settle(chunk, [TokenGroup("0-63", 100)])
        record.compute_units += 480
        log.say_progress(record)


class TestThePrice:
    def test_it_is_told_with_the_tokens(self, log: CollectionLog, lines: Lines) -> None:
        log.say_the_price(record_of(supply=10_000), 108_000)

        (line,) = lines.lines
        assert line == (
            "Collection 0xabc: refreshing 10,000 tokens with method 'batch' costs 108,000 compute units, more where "
            "some have to be tried again"
        )

    def test_of_an_unknown_number_the_price_of_a_hundred_is(self, log: CollectionLog, lines: Lines) -> None:
        log.say_the_price(record_of(supply=None), None)

        assert "1,080 compute units for each hundred with method 'batch', 5,080 with 'queue'" in lines.lines[0]

    def test_what_is_done_already_is_not_counted(self, log: CollectionLog, lines: Lines) -> None:
        record = record_of(supply=1000)
        record.take_on(range(300))
        settle(record, CollectionLog(logging.getLogger(f"{__name__}.other"), ""), 2)

        log.say_the_price(record, 8640)

        assert "refreshing 800 tokens" in lines.lines[0]
        assert lines.lines[0].endswith("; 200 are proven fresh already")

    def test_a_supply_that_was_too_small_makes_no_negative_number(self, log: CollectionLog, lines: Lines) -> None:
        record = record_of(supply=100)
        record.take_on(range(300))

        log.say_the_price(record, 1440)

        assert "refreshing 300 tokens" in lines.lines[0]


class TestProgress:
    def test_there_is_a_line_for_each_ten_percent(self, log: CollectionLog, lines: Lines) -> None:
        record = record_of(supply=10_000, is_taken=True)
        record.take_on(range(10_000))

        settle(record, log, 100)

        assert [line.split(",")[0] for line in lines.lines] == [
            f"Collection 0xabc: {percent} %" for percent in range(10, 101, 10)
        ]
        assert lines.lines[2].endswith("3,000 tokens asked for, 3,000 proven fresh, 14,400 compute units")

    def test_a_few_large_steps_are_a_few_lines(self, log: CollectionLog, lines: Lines) -> None:
        record = record_of(supply=300, is_taken=True)
        record.take_on(range(300))

        settle(record, log, 3)

        assert [line.split(",")[0][-4:] for line in lines.lines] == ["33 %", "66 %", "00 %"]

    @pytest.mark.parametrize("supply", [None, 0])
    def test_without_a_supply_it_waits_for_the_last_page(
        self, supply: int | None, log: CollectionLog, lines: Lines
    ) -> None:
        record = record_of(supply=supply)
        record.take_on(range(1000))
        settle(record, log, 5)
        assert lines.lines == []

        record.is_taken = True
        settle(record, log, 1)

        assert "60 %, 600 tokens asked for" in lines.lines[0]

    @pytest.mark.parametrize("supply", [1, 999])
    def test_a_supply_that_is_too_small_never_leads_over_a_hundred(
        self, supply: int, log: CollectionLog, lines: Lines
    ) -> None:
        record = record_of(supply=supply, is_taken=True)
        record.take_on(range(1000))

        settle(record, log, 10)

        assert len(lines.lines) == 10
        assert "100 %" in lines.lines[-1]

    def test_further_tries_have_lines_of_their_own(self, log: CollectionLog, lines: Lines) -> None:
        record = record_of(supply=1000, attempt=2, is_taken=True)
        record.take_on(range(1000))

        settle(record, log, 10)

        assert lines.lines == []


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Stage.REFRESH, "refreshing 3 tokens in 10 s (attempt 2): 2 stale, 1 ipfs_timeout"),
        (Stage.QUEUE, "queueing 3 tokens in 10 s (attempt 2): 2 stale, 1 ipfs_timeout"),
        (Stage.PROVE, "looking for the proof of 3 tokens in 10 s (attempt 2): 2 stale, 1 ipfs_timeout"),
    ],
)
def test_the_next_stage_is_told_with_its_reasons(stage: Stage, words: str, log: CollectionLog, lines: Lines) -> None:
    groups = [TokenGroup.of([7], reason="ipfs_timeout"), TokenGroup.of([1, 2], reason="stale")]

    log.say_the_stage(record_of(stage=stage, attempt=2, next_at=NOW + 10, todo=groups), NOW)

    assert lines.lines == [f"Collection 0xabc: {words}"]


def test_the_end_of_the_stages_is_no_stage(log: CollectionLog, lines: Lines) -> None:
    log.say_the_stage(record_of(stage=Stage.DONE), NOW)

    assert lines.lines == []


def test_of_many_failures_the_first_is_a_warning(log: CollectionLog, lines: Lines) -> None:
    for number in range(3):
        log.say_failure(100, AlchemyServerError("the service failed"))
        log.say_refusal(number, AlchemyRequestError("not again"))

    assert lines.levels == ["WARNING", "WARNING", *["DEBUG"] * 4]
    assert "A call for 100 tokens failed, they are tried again: the service failed" in lines.lines[0]


class TestTheEnd:
    def end(self, **known: Any) -> CollectionRecord:
        times: dict[str, Any] = {
            "submitted_at": "2027-01-15T08:00:00+00:00",
            "finished_at": "2027-01-15T08:00:12+00:00",
        }
        return record_of(stage=Stage.DONE, **times, **known)

    def test_it_is_one_line_with_the_cost(self, log: CollectionLog, lines: Lines) -> None:
        log.say_the_end(
            self.end(
                tokens=1000,
                refreshed=998,
                failed=[TokenGroup("1-2", 2, reason="stale")],
                polls=21,
                compute_units=10_960,
            )
        )

        (line,) = lines.lines
        assert line == (
            "Collection 0xabc: 998 of 1,000 tokens refreshed and proven, 2 stale, after 12.0 s, 21 calls, 10,960 "
            "compute units"
        )

    def test_an_empty_collection_is_told(self, log: CollectionLog, lines: Lines) -> None:
        log.say_the_end(self.end())

        assert lines.lines[0] == "Collection 0xabc: there is no token to refresh"
