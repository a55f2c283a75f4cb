# SPDX-License-Identifier: Apache-2.0
"""What a refresh costs and comes to: its price, the lines of its log, its result, error and report."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import (
    AlchemyRequestError,
    AlchemyServerError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.tokens.proof import STALE, TokenSet
from airflow_provider_alchemy.tokens.result import (
    RefreshLog,
    check_price,
    error_of,
    failures_of,
    price_of,
    price_of_rest,
    report_lines,
    result_of,
)
from airflow_provider_alchemy.tokens.state import CollectionState, Method, Stage

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
SUBJECT = "Collection 0xabc"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> RefreshLog:
    caplog.set_level(logging.DEBUG)
    return RefreshLog(logging.getLogger(__name__), SUBJECT)


def state_of(read: int = 0, method: Method = Method.BATCH, *, digest: str = "", **known: Any) -> CollectionState:
    """Build the state of a refresh that has read some tokens."""
    state = CollectionState.begin("0xabc", "eth-mainnet", method, digest)
    state.add_tokens(range(read))
    for name, value in known.items():
        setattr(state, name, value)
    return state


def ended(tokens: int, *failed: TokenSet, **known: Any) -> CollectionState:
    """Build the state of a refresh that has ended."""
    missing = sum(one.count for one in failed)
    times: dict[str, Any] = {"submitted_at": NOW, "finished_at": NOW + timedelta(seconds=90.5)}
    state = state_of(stage=Stage.DONE, tokens=tokens, refreshed=tokens - missing, failed=list(failed))
    for name, value in {**times, **known}.items():
        setattr(state, name, value)
    return state


def stale(number: int, start: int = 0) -> TokenSet:
    return TokenSet.of(range(start, start + number), asked_at=NOW, reason=STALE)


def final(number: int, start: int = 5000) -> TokenSet:
    return TokenSet.of(range(start, start + number), reason="no_such_token")


def prove(state: CollectionState, log: RefreshLog, chunks: int) -> None:
    for _ in range(chunks):
        chunk = state.next_chunk()
        assert chunk is not None
        state.complete(chunk, [TokenSet("0-63", 100)])
        state.compute_units += 480
        log.log_progress(state)


class TestThePrice:
    @pytest.mark.parametrize(
        ("tokens", "method", "is_listed", "price"),
        [
            (0, "batch", False, 0),
            (0, "batch", True, 600),
            (1, "batch", False, 480),
            (100, "batch", False, 480),
            (101, "batch", False, 960),
            (10_000, "batch", True, 100 * (480 + 600)),
            (1, "queue", False, 40 + 480),
            (150, "queue", False, 150 * 40 + 2 * 480),
            (10_000, "queue", True, 10_000 * 40 + 100 * (480 + 600)),
        ],
    )
    def test_it_is_tokens_times_the_methods_units(self, tokens: int, method: str, is_listed: bool, price: int) -> None:
        assert price_of(tokens, Method(method), is_listed=is_listed) == price

    @pytest.mark.parametrize(
        ("state", "price"),
        [
            (state_of(supply=250), 3 * (480 + 600)),
            (state_of(supply=250, digest="given"), 3 * 480),
            (state_of(150, supply=1000, is_read=True), 2 * 480),
            (state_of(300, supply=100), 3 * (480 + 600)),
            (state_of(supply=None), None),
            (state_of(supply=100, stage=Stage.DONE), 0),
            (state_of(supply=100, is_read=True), 0),
        ],
        ids=["listed", "given", "read", "more than the supply", "unknown", "done", "all answered"],
    )
    def test_of_what_is_left_it_is_what_was_not_asked_for(self, state: CollectionState, price: int | None) -> None:
        assert price_of_rest(state) == price

    @pytest.mark.parametrize(
        ("price", "spent", "limit"), [(480, 0, 480), (480, 160, 640), (480, 0, None), (None, 5, 1)]
    )
    def test_what_the_limit_pays_for_begins(self, price: int | None, spent: int, limit: int | None) -> None:
        check_price("the refresh costs", price, spent, limit, SUBJECT)

    def test_what_costs_more_is_refused_with_the_number_to_raise_it_to(self) -> None:
        with pytest.raises(AlchemySpendingLimitError) as refused:
            check_price("the refresh costs", 108_000, 160, 108_159, SUBJECT)

        assert str(refused.value) == (
            "Collection 0xabc: the refresh costs 108,000 compute units, 160 are spent, and max_compute_units is "
            "108,159. Raise max_compute_units to 108,160 at least, or refresh fewer tokens with token_ids; nothing was "
            "refreshed for it."
        )


class TestTheLog:
    @pytest.mark.parametrize(
        ("state", "price", "words"),
        [
            (
                state_of(supply=10_000),
                108_000,
                "refreshing 10,000 tokens with method 'batch' costs 108,000 compute units, more where some",
            ),
            (state_of(supply=None), None, "1,080 compute units for each hundred with method 'batch', 5,080 with"),
            (state_of(300, supply=100), 1440, "refreshing 300 tokens"),
            (state_of(100, supply=1000, tokens=300, refreshed=200), 8640, "refreshing 800 tokens"),
            (state_of(100, supply=1000, tokens=300, refreshed=200), 8640, "; 200 are proven fresh already"),
        ],
    )
    def test_the_price_is_said_with_the_tokens_it_is_for(
        self, state: CollectionState, price: int | None, words: str, log: RefreshLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        log.log_price(state, price)

        (line,) = caplog.messages
        assert line.startswith(f"{SUBJECT}: ")
        assert words in line

    def test_there_is_a_line_for_each_tenth(self, log: RefreshLog, caplog: pytest.LogCaptureFixture) -> None:
        prove(state_of(10_000, supply=10_000, is_read=True), log, 100)

        assert [line.split(",")[0] for line in caplog.messages] == [
            f"Collection 0xabc: {percent} %" for percent in range(10, 101, 10)
        ]
        assert caplog.messages[2].endswith("3,000 tokens asked for, 3,000 proven fresh, 14,400 compute units")

    @pytest.mark.parametrize(
        ("tokens", "known", "percents"),
        [
            (300, {"supply": 300}, [33, 66, 100]),
            (300, {"supply": 1}, [33, 66, 100]),
            (300, {"supply": 299}, [33, 66, 100]),
            (300, {"supply": 300, "attempt": 2}, []),
            (300, {"supply": None}, [33, 66, 100]),
            (300, {"supply": 0, "is_read": False}, []),
            (300, {"supply": None, "is_read": False}, []),
        ],
    )
    def test_progress_is_that_of_the_first_attempt_where_the_number_of_tokens_is_known(
        self, tokens: int, known: dict[str, Any], percents: list[int], log: RefreshLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        prove(state_of(tokens, **{"is_read": True, **known}), log, tokens // 100)

        assert [int(line.removeprefix(f"{SUBJECT}: ").split()[0]) for line in caplog.messages] == percents

    @pytest.mark.parametrize(
        ("stage", "said"),
        [
            (Stage.REFRESH, ["refreshing 3 tokens in 10 s (attempt 2): 2 stale, 1 ipfs_timeout"]),
            (Stage.QUEUE, ["queueing 3 tokens in 10 s (attempt 2): 2 stale, 1 ipfs_timeout"]),
            (Stage.PROVE, ["checking the proof of 3 tokens in 10 s (attempt 2): 2 stale, 1 ipfs_timeout"]),
            (Stage.DONE, []),
        ],
    )
    def test_the_next_stage_is_said_with_its_reasons(
        self, stage: Stage, said: list[str], log: RefreshLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        todo = [TokenSet.of([7], reason="ipfs_timeout"), TokenSet.of([1, 2], reason=STALE)]

        log.log_stage(state_of(stage=stage, attempt=2, next_at=NOW + timedelta(seconds=10), todo=todo), NOW)

        assert caplog.messages == [f"{SUBJECT}: {words}" for words in said]

    def test_of_many_failures_the_first_is_a_warning(self, log: RefreshLog, caplog: pytest.LogCaptureFixture) -> None:
        for number in range(3):
            log.log_failure(100, AlchemyServerError("the service failed"))
            log.log_refusal(number, AlchemyRequestError("not again"))

        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", *["DEBUG"] * 4]
        assert "A call for 100 tokens failed and is tried again: the service failed" in caplog.messages[0]

    def test_the_end_is_one_line_with_the_cost(self, log: RefreshLog, caplog: pytest.LogCaptureFixture) -> None:
        log.log_summary(ended(1000, stale(2), polls=21, compute_units=10_960))

        (line,) = caplog.messages
        assert line == (
            "Collection 0xabc: 998 of 1,000 tokens refreshed and proven, 2 stale, after 90.5 s, 21 calls, 10,960 "
            "compute units"
        )

    def test_that_there_was_nothing_to_do_is_said(self, log: RefreshLog, caplog: pytest.LogCaptureFixture) -> None:
        log.log_summary(ended(0))

        assert caplog.messages[0] == "Collection 0xabc: there is no token to refresh"


class TestTheResult:
    def test_it_has_what_every_result_has_and_its_own(self) -> None:
        result = result_of(ended(1000, stale(2), final(1), method=Method.QUEUE, polls=25, compute_units=10_960))

        assert json.loads(json.dumps(result)) == {
            "contract_address": "0xabc",
            "network": "eth-mainnet",
            "state": "finished",
            "progress": 99,
            "already_finished": False,
            "submitted_at": "2027-01-15T08:00:00+00:00",
            "finished_at": "2027-01-15T08:01:30.500000+00:00",
            "polls": 25,
            "compute_units": 10_960,
            "usd": None,
            "method": "queue",
            "counts": {"tokens": 1000, "refreshed": 997, "stale": 2, "failed": 1},
            "failures": {
                "stale": {"tokens": 2, "token_ids": ["0", "1"]},
                "no_such_token": {"tokens": 1, "token_ids": ["5000"]},
            },
            "duration_seconds": 90.5,
        }

    def test_of_an_empty_collection_all_is_done(self) -> None:
        result = result_of(ended(0))

        assert (result["state"], result["progress"], result["failures"]) == ("finished", 100, {})
        assert set(result["counts"].values()) == {0}

    def test_before_its_end_it_is_in_progress(self) -> None:
        result = result_of(ended(10, stage=Stage.REFRESH, finished_at=None))

        assert (result["state"], result["finished_at"], result["duration_seconds"]) == ("in_progress", None, None)

    def test_a_hundred_ids_of_each_reason_are_named_as_texts(self) -> None:
        largest = 2**256 - 1
        failures = failures_of([stale(60), final(150), stale(60, 200), TokenSet.of([largest], reason="unknown_error")])

        assert [failure["tokens"] for failure in failures.values()] == [120, 150, 1]
        assert failures["stale"]["token_ids"] == [str(number) for number in [*range(60), *range(200, 240)]]
        assert len(failures["no_such_token"]["token_ids"]) == 100
        assert failures["unknown_error"]["token_ids"] == [str(largest)]


class TestTheVerdict:
    @pytest.mark.parametrize(
        ("max_failed", "failed", "is_good"),
        [
            (0, 0, True),
            (0, 1, False),
            (5, 5, True),
            (5, 6, False),
            (0.0, 1, False),
            (0.29, 29, True),
            (0.29, 30, False),
            (0.295, 29, True),
            (1.0, 100, True),
            (1, 2, False),
        ],
    )
    def test_max_failed_is_a_number_or_a_share(self, max_failed: float, failed: int, is_good: bool) -> None:
        state = ended(100, *([stale(failed)] if failed else []))

        assert (error_of(state, max_failed, SUBJECT) is None) is is_good

    def test_of_no_token_none_may_fail(self) -> None:
        assert error_of(ended(0), 0.5, SUBJECT) is None

    def test_it_says_how_many_and_why(self) -> None:
        error = error_of(ended(1000, stale(200), final(3), stale(100, 300)), 0.1, SUBJECT)

        assert str(error).startswith(
            "Collection 0xabc: 303 of 1,000 tokens are not proven fresh (300 stale, 3 no_such_token); max_failed "
            "allows 0.1 of them, 100. "
        )

    @pytest.mark.parametrize(
        ("failed", "max_failed", "is_permanent"),
        [((stale(1), final(1)), 1, False), ((stale(1), final(1)), 0, True), ((stale(5),), 0, False)],
    )
    def test_a_retry_is_worth_it_unless_too_many_reasons_are_final(
        self, failed: tuple[TokenSet, ...], max_failed: int, is_permanent: bool
    ) -> None:
        error = error_of(ended(100, *failed), max_failed, SUBJECT)

        assert isinstance(error, AlchemyTokensFailedError)
        assert error.is_permanent is is_permanent


class TestTheReport:
    def test_it_has_a_line_for_each_token_without_proof(self) -> None:
        lines = [json.loads(line) for line in report_lines(ended(1000, stale(2), final(1)))]

        asked = {"requested_at": "2027-01-15T08:00:00+00:00"}
        assert lines == [
            {"token_id": "0", "state": "stale", "reason": "stale", "is_final": False, **asked},
            {"token_id": "1", "state": "stale", "reason": "stale", "is_final": False, **asked},
            {"token_id": "5000", "state": "failed", "reason": "no_such_token", "is_final": True, "requested_at": None},
        ]

    def test_it_is_made_line_by_line_and_empty_where_all_are_proven(self) -> None:
        assert next(report_lines(ended(10**6, stale(10**4)))).endswith("}\n")
        assert list(report_lines(ended(1000))) == []
