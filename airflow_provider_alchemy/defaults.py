# SPDX-License-Identifier: Apache-2.0
"""Defaults and limits of arguments, as plain values: a DAG file needs these, and not what works with them."""

from __future__ import annotations

from datetime import timedelta

DEFAULT_CONNECTION_ID = "alchemy_default"
DEFAULT_NETWORK = "eth-mainnet"

DEFAULT_MAX_CONSECUTIVE_FAILURES = 10

DEFAULT_MAX_INTERVAL_SECONDS = 600.0
"""The longest adaptive interval: a refresh that jumps to its end is noticed this late at most."""

BACK_STOP = timedelta(minutes=10)
"""How long after the trigger's own deadline Airflow ends the wait: for a triggerer that is gone."""

DEFAULT_MIN_FRESH = 1.0
DEFAULT_SAMPLE_SIZE = 100
MAX_SAMPLE_SIZE = 10_000

DEFAULT_MIN_TOKENS = 1

MIN_SECONDS_BETWEEN_ATTEMPTS = 10.0
"""What Alchemy's API reference asks for where a token's URI is throttled."""
