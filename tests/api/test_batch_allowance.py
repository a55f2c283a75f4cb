# SPDX-License-Identifier: Apache-2.0
"""What a batch may spend, without a server: each call is paid before it is made."""

from __future__ import annotations

from airflow_provider_alchemy.api.batch_allowance import BatchAllowance
from airflow_provider_alchemy.api.batches import BatchRecord


def record_of(**known: int) -> BatchRecord:
    return BatchRecord(contracts=10, digest="d", network="eth-mainnet", **known)  # type: ignore[arg-type]


def test_a_call_under_way_is_counted_and_paid() -> None:
    record = record_of()

    assert BatchAllowance(record, None).take(480)

    assert (record.polls, record.compute_units) == (1, 480)


def test_what_a_call_did_not_cost_comes_back() -> None:
    record = record_of()
    spending_limit = BatchAllowance(record, 480)
    spending_limit.take(480)

    spending_limit.give_back(480)

    assert (record.compute_units, spending_limit.take(480)) == (0, True)


def test_a_call_that_is_not_left_is_not_made() -> None:
    record = record_of(compute_units=600)

    assert not BatchAllowance(record, 1000).take(480)

    assert (record.polls, record.compute_units) == (0, 600)


def test_the_first_call_is_the_submission() -> None:
    record = record_of()
    spending_limit = BatchAllowance(record, None)
    spending_limit.take(480)
    submitted_at = record.submitted_at

    spending_limit.take(480)

    assert submitted_at == record.submitted_at is not None


def test_closed_it_refuses_every_call() -> None:
    spending_limit = BatchAllowance(record_of(), None)

    spending_limit.close()

    assert not spending_limit.take(480)


def test_it_tells_when_no_call_is_under_way() -> None:
    spending_limit = BatchAllowance(record_of(), None)
    told = [spending_limit.all_answered.is_set()]
    for step in (spending_limit.take, spending_limit.take, spending_limit.give_back, spending_limit.give_back):
        step(480)
        told.append(spending_limit.all_answered.is_set())

    assert told == [True, False, False, False, True]
