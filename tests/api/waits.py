# SPDX-License-Identifier: Apache-2.0
"""A wait without a client and without a clock: looks are given as values."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.api.waiting import Look, RefreshWait

from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus

from .shells import LOWER

NOW = pendulum.datetime(2026, 11, 22, 10)
SUBJECT = f"collection {LOWER} on eth-mainnet (connection 'mine')"
RULES = ("max_consecutive_failures", "max_resubmits", "max_compute_units", "submits")
LOG = logging.getLogger("tests.api.waits")


def in_seconds(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


def wait_with(*, interval: Any = 60, log: Any = LOG, **options: Any) -> RefreshWait:
    """Make a wait; fields of the record and options of the wait may be given together."""
    rules = {name: options.pop(name) for name in RULES if name in options}
    cadence = options.pop("cadence", Cadence(interval_seconds=interval))
    record = WaitRecord(contract_address=LOWER, **options)
    return RefreshWait(record, subject=SUBJECT, cadence=cadence, log=log, **rules)


def status(state: str, progress: float | None = None) -> RefreshStatus:
    return RefreshStatus(
        contract_address=LOWER,
        network="eth-mainnet",
        state=RefreshState.read(state),
        progress=progress,
        reported_state=state,
    )


def look(wait: RefreshWait, outcome: str | RefreshStatus | AlchemyError, *, calls: int = 1, units: int = 480) -> Look:
    """Look once: a state, a status, or an error of the client."""
    with wait.look() as this:
        this.usage.calls += calls
        this.usage.first_call_at = pendulum.now("UTC")
        this.usage.compute_units += units
        if isinstance(outcome, AlchemyError):
            raise outcome
        this.status = status(outcome) if isinstance(outcome, str) else outcome
    return this
