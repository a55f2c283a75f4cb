# SPDX-License-Identifier: Apache-2.0
"""Throughput, compute units and the monthly cap."""

from __future__ import annotations

import email.utils
import time

import pytest
from airflow_provider_alchemy.testing.metering import ThroughputWindow, is_billed

from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import ADDRESS, Ask


def test_the_window_takes_ten_seconds_of_units() -> None:
    window = ThroughputWindow()
    assert [window.admit(0, 480, 300) for _ in range(7)] == [True] * 6 + [False]


def test_units_leave_the_window_after_ten_seconds() -> None:
    window = ThroughputWindow()
    window.add(0, 3000)
    assert not window.admit(9.99, 1, 300)
    assert window.admit(10, 3000, 300)


def test_a_refused_call_does_not_count_in_the_window() -> None:
    window = ThroughputWindow()
    window.add(0, 2900)
    assert not window.admit(1, 480, 300)
    assert window.used(1) == 2900


def test_without_a_limit_every_call_is_admitted_and_still_counted() -> None:
    window = ThroughputWindow()
    assert window.admit(0, 10**6, None)
    assert window.used(0) == 10**6


@pytest.mark.parametrize(
    ("status", "billed"),
    [(200, True), (400, True), (404, True), (500, True), (429, False), (403, False), (401, True), (None, False)],
)
def test_errors_are_billed_except_those_that_alchemy_names(status: int, billed: bool) -> None:
    assert is_billed(status) is billed


def test_the_whole_account_shares_the_throughput(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.configure(units_per_second=100)
    assert ask().status_code == 200
    assert ask(address="0x" + "1" * 40).status_code == 200
    refused = ask()
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    body = refused.json()
    assert body["jsonrpc"] == "2.0"
    assert body["error"]["code"] == 429
    assert "exceeded its compute units per second capacity" in body["error"]["message"]
    assert ask("getContractMetadata").status_code == 200
    assert emulator.throttled == 1
    assert emulator.compute_units == 480 + 480 + 160
    assert [call.compute_units for call in emulator.calls] == [480, 480, 0, 160]


def test_a_refused_call_submits_no_job(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.configure(units_per_second=1)
    assert ask().status_code == 429
    assert emulator.finished_at(ADDRESS) is None


def test_retry_after_comes_in_both_its_forms(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.configure(units_per_second=1, retry_after=2.5)
    assert ask().headers["Retry-After"] == "3"
    emulator.configure(retry_after=60, retry_after_form="date")
    before = time.time()
    header = ask().headers["Retry-After"]
    assert header.endswith("GMT")
    assert before + 59 <= email.utils.parsedate_to_datetime(header).timestamp() <= time.time() + 61


@pytest.mark.parametrize("status", [429, 403])
def test_the_monthly_cap_refuses_every_further_call_without_billing_it(
    emulator: AlchemyEmulator, ask: Ask, status: int
) -> None:
    emulator.configure(monthly_units=500, monthly_status=status)
    assert ask().status_code == 200
    refused = ask()
    assert refused.status_code == status
    assert refused.json()["error"]["message"].startswith("Monthly capacity limit exceeded.")
    assert emulator.compute_units == 480
    assert emulator.throttled == 0
