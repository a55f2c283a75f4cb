# SPDX-License-Identifier: Apache-2.0
"""What is known of a batch: how it travels, what is kept for a retry, the result, and when it fails the task."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow_provider_alchemy.api.batches import BatchRecord, allowed_failures
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import (
    PERMANENT_REASONS,
    AlchemyAuthenticationError,
    AlchemyContractsFailedError,
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyNoSuchCollectionError,
    AlchemyQueueFailedError,
    AlchemyServerError,
    ErrorKind,
)

REASONS = ["does_not_exist", "queue_failed", "timeout", "server_error", "a_reason_of_tomorrow"]
SUBJECT = "Batch of 10 contracts on eth-mainnet (connection 'mine')"


def address(number: int) -> str:
    return f"0x{number:040x}"


ADDRESSES = [address(number) for number in range(10)]


def record_of(contracts: int = 10, **known: Any) -> BatchRecord:
    return BatchRecord(contracts=contracts, digest="d", network="eth-mainnet", **known)


@st.composite
def records(draw: st.DrawFn) -> BatchRecord:
    size = draw(st.integers(1, 300))
    ends = draw(st.dictionaries(st.integers(0, size - 1), st.sampled_from([*REASONS, "finished", "running"])))
    record = record_of(size, polls=draw(st.integers(0, 10**6)), submitted_at="2026-11-22T10:00:00+00:00")
    for position, end in ends.items():
        if end in {"finished", "running"}:
            getattr(record, end).add(position)
        else:
            record.failed.setdefault(end, set()).add(position)
    return record


@given(record=records())
def test_a_record_that_crossed_json_is_the_same(record: BatchRecord) -> None:
    assert BatchRecord.read(json.loads(json.dumps(record.to_dict()))) == record


@given(record=records())
def test_what_has_ended_and_what_has_not_make_the_whole(record: BatchRecord) -> None:
    assert record.ended + len(record.not_ended()) == record.contracts


@given(record=records())
def test_the_result_lists_every_contract_that_has_ended_once(record: BatchRecord) -> None:
    result = record.result([address(number) for number in range(record.contracts)])

    listed = [*result["finished"], *(contract for contracts in result["failed"].values() for contract in contracts)]
    assert len(listed) == len(set(listed)) == record.ended == result["counts"]["finished"] + result["counts"]["failed"]


@given(record=records())
def test_the_result_of_a_stopped_batch_lists_every_contract(record: BatchRecord) -> None:
    addresses = [address(number) for number in range(record.contracts)]
    result = record.result(addresses, AlchemyAuthenticationError("refused"))

    listed = [*result["finished"], *(contract for contracts in result["failed"].values() for contract in contracts)]
    assert sorted(listed) == addresses


@given(record=records())
def test_a_next_try_keeps_what_has_finished_and_what_failed_for_good(record: BatchRecord) -> None:
    kept = record.for_next_try()

    final = set().union(*(positions for reason, positions in record.failed.items() if reason in PERMANENT_REASONS))
    assert set(range(record.contracts)) - set(kept.not_ended()) == record.finished | final


def test_ten_thousand_contracts_with_every_tenth_failed_fit_in_a_few_kilobytes() -> None:
    record = record_of(10_000, finished={at for at in range(10_000) if at % 10})
    record.failed = {reason: set(range(number * 10, 10_000, 50)) for number, reason in enumerate(REASONS)}

    assert len(json.dumps(record.to_dict())) < 4_000


def test_values_that_a_newer_version_adds_are_left_out() -> None:
    assert BatchRecord.read({**record_of().to_dict(), "mood": "good"}) == record_of()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        {},
        {"contracts": 3},
        {"contracts": None, "digest": "d", "network": "n"},
        {**record_of().to_dict(), "finished": "no bitmap"},
        {**record_of().to_dict(), "finished": 7},
        {**record_of().to_dict(), "failed": []},
        {**record_of().to_dict(), "failed": {"timeout": "AAAA"}},
        {**record_of().to_dict(), "finished": record_of(11, finished={10}).to_dict()["finished"]},
        {**record_of().to_dict(), "finished": record_of(900, finished={800}).to_dict()["finished"]},
    ],
    ids=lambda data: str(data)[-40:],
)
def test_what_is_no_record_is_none(data: Any) -> None:
    assert BatchRecord.read(data) is None


class TestEnds:
    def test_a_contract_that_finished_is_no_longer_running(self) -> None:
        record = record_of(running={3})

        record.finish(3, already_finished=False)

        assert (record.finished, record.running, record.already_finished) == ({3}, set(), 0)

    def test_one_that_was_finished_at_its_first_answer_is_counted(self) -> None:
        record = record_of()

        record.finish(3, already_finished=True)

        assert record.already_finished == 1

    @pytest.mark.parametrize("error", [AlchemyDeadlineError("over"), AlchemyServerError("500")])
    def test_one_that_fails_here_may_still_run_at_alchemy(self, error: AlchemyError) -> None:
        record = record_of(running={3})

        record.fail(3, error)

        assert record.running == {3}

    @pytest.mark.parametrize("error", [AlchemyQueueFailedError("q"), AlchemyNoSuchCollectionError("d")])
    def test_one_that_alchemy_refused_does_not_run(self, error: AlchemyError) -> None:
        record = record_of(running={3})

        record.fail(3, error)

        assert record.running == set()


class TestResult:
    def test_its_keys_are_those_that_are_documented(self) -> None:
        assert list(record_of().result(ADDRESSES)) == [
            "network",
            "counts",
            "finished",
            "failed",
            "polls",
            "compute_units",
            "submitted_at",
            "finished_at",
        ]

    def test_its_counts_are_those_that_are_documented(self) -> None:
        record = record_of(finished={0, 1}, failed={"timeout": {2}}, already_finished=1, duplicates=4)

        assert record.result(ADDRESSES)["counts"] == {
            "contracts": 10,
            "finished": 2,
            "failed": 1,
            "already_finished": 1,
            "duplicates": 4,
        }

    def test_contracts_are_named_in_the_order_of_the_list(self) -> None:
        record = record_of(finished={9, 1}, failed={"timeout": {8, 2}, "does_not_exist": {3}})

        result = record.result(ADDRESSES)

        assert result["finished"] == [address(1), address(9)]
        assert result["failed"] == {"does_not_exist": [address(3)], "timeout": [address(2), address(8)]}

    def test_it_is_plain_json(self) -> None:
        result = record_of(finished={1}, failed={"timeout": {2}}).result(ADDRESSES)

        assert json.loads(json.dumps(result)) == result


class TestVerdict:
    @pytest.mark.parametrize(
        ("max_failed", "contracts", "allowed"),
        [(0, 10, 0), (3, 10, 3), (0.0, 10, 0), (1.0, 10, 10), (1, 10, 1), (0.29, 100, 29), (0.05, 10, 0), (0.1, 30, 3)],
    )
    def test_an_int_is_a_number_and_a_float_a_share(self, max_failed: float, contracts: int, allowed: int) -> None:
        assert allowed_failures(max_failed, contracts) == allowed

    def test_as_many_failures_as_allowed_are_none(self) -> None:
        assert record_of(failed={"timeout": {1}, "does_not_exist": {2}}).verdict(ADDRESSES, 2, SUBJECT) is None

    def test_one_more_fails_and_airflow_may_retry_it(self) -> None:
        error = record_of(failed={"server_error": {1}, "does_not_exist": {2}}).verdict(ADDRESSES, 1, SUBJECT)

        assert type(error) is AlchemyContractsFailedError
        assert error.kind is not ErrorKind.PERMANENT

    def test_it_counts_by_reason_and_names_five(self) -> None:
        record = record_of(failed={"server_error": {1, 2, 3}, "does_not_exist": {0, 4, 5, 6}})

        text = str(record.verdict(ADDRESSES, 5, SUBJECT))

        assert (
            f"{SUBJECT}: 7 of 10 contracts failed (does_not_exist 4, server_error 3), and max_failed allows 5" in text
        )
        assert all(address(number) in text for number in range(5))
        assert address(5) not in text
        assert "and 2 more" in text

    def test_too_many_that_no_retry_can_mend_are_final(self) -> None:
        error = record_of(failed={"server_error": {1}, "does_not_exist": {2, 3}}).verdict(ADDRESSES, 1, SUBJECT)

        assert isinstance(error, AlchemyContractsFailedError)
        assert error.is_permanent

    def test_nothing_but_time_outs_is_a_time_out(self) -> None:
        error = record_of(failed={"timeout": {1, 2}}).verdict(ADDRESSES, 0, SUBJECT)

        assert type(error) is AlchemyDeadlineError

    def test_nothing_but_ends_of_execution_timeout_is_one(self) -> None:
        error = record_of(failed={"execution_timeout": {1, 2}}).verdict(ADDRESSES, 0, SUBJECT)

        assert type(error) is AlchemyExecutionDeadlineError

    def test_a_time_out_among_others_may_be_retried(self) -> None:
        error = record_of(failed={"timeout": {1}, "queue_failed": {2}}).verdict(ADDRESSES, 0, SUBJECT)

        assert type(error) is AlchemyContractsFailedError

    def test_a_reason_of_a_newer_version_may_be_retried(self) -> None:
        error = record_of(failed={"a_reason_of_tomorrow": {1}}).verdict(ADDRESSES, 0, SUBJECT)

        assert type(error) is AlchemyContractsFailedError
