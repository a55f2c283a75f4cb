# SPDX-License-Identifier: Apache-2.0
"""What travels between processes: the wait's record and its cadence."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import timedelta

import pytest
from airflow_provider_alchemy.api.records import WaitRecord, read_moment

from .shells import LOWER

FULL = WaitRecord(
    contract_address=LOWER,
    network="eth-mainnet",
    waiting_since="2026-11-22T10:00:00+00:00",
    submitted_at="2026-11-22T10:00:01+00:00",
    finished_at="2026-11-22T10:05:00+00:00",
    state="finished",
    reported_state="finished",
    progress=100,
    already_finished=False,
    polls=6,
    compute_units=2880,
    looks=5,
    failures=1,
    resubmits=2,
    logged_progress=90,
    deadline="2026-11-22T11:00:00+00:00",
    execution_deadline="2026-11-22T12:00:00+00:00",
)


def test_a_record_survives_its_way_through_json() -> None:
    assert WaitRecord.read(json.loads(json.dumps(FULL.to_dict()))) == FULL


def test_a_new_record_survives_its_way_through_json() -> None:
    record = WaitRecord(contract_address=LOWER)
    assert WaitRecord.read(json.loads(json.dumps(record.to_dict()))) == record


def test_a_record_carries_every_field() -> None:
    assert set(FULL.to_dict()) == {field.name for field in fields(WaitRecord)}


def test_values_of_a_newer_version_are_left_out() -> None:
    assert WaitRecord.read(FULL.to_dict() | {"from_the_future": {"a": 1}}) == FULL


def test_values_that_an_older_version_did_not_have_take_their_defaults() -> None:
    assert WaitRecord.read({"contract_address": LOWER}) == WaitRecord(contract_address=LOWER)


def test_the_result_has_exactly_the_documented_keys_in_their_order() -> None:
    assert list(FULL.result()) == [
        "contract_address",
        "network",
        "state",
        "progress",
        "already_finished",
        "submitted_at",
        "finished_at",
        "polls",
        "compute_units",
    ]


def test_the_result_is_what_was_recorded() -> None:
    recorded = FULL.to_dict()
    assert FULL.result() == {name: recorded[name] for name in FULL.result()}


@pytest.mark.parametrize("text", [None, ""], ids=["none", "empty"])
def test_no_text_is_no_moment(text: str | None) -> None:
    assert read_moment(text) is None


@pytest.mark.parametrize("text", ["2026-11-22T10:00:00+00:00", "2026-11-22T10:00:00Z", "2026-11-22T12:00:00+02:00"])
def test_a_moment_is_aware_in_each_spelling(text: str) -> None:
    moment = read_moment(text)
    assert moment is not None
    assert moment.timestamp() == 1795341600
    assert moment.utcoffset() is not None


def test_a_moment_keeps_its_microseconds() -> None:
    moment = read_moment("2026-11-22T10:00:00.123456+00:00")
    assert moment is not None
    assert moment.microsecond == 123456
    assert moment.utcoffset() == timedelta(0)
