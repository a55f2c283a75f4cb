# SPDX-License-Identifier: Apache-2.0
"""What tests of DAGs that use Alchemy need: an emulator of Alchemy's NFT API.

The names are loaded on first use: pytest imports this package at every start, and needs no HTTP server then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.account import ANY_KEY
    from airflow_provider_alchemy.testing.calls import Call
    from airflow_provider_alchemy.testing.chain import ChainLog
    from airflow_provider_alchemy.testing.faults import FaultKind
    from airflow_provider_alchemy.testing.jobs import JobPlan, Outcome
    from airflow_provider_alchemy.testing.remote import RemoteEmulator
    from airflow_provider_alchemy.testing.server import AlchemyEmulator

__all__ = ["ANY_KEY", "AlchemyEmulator", "Call", "ChainLog", "FaultKind", "JobPlan", "Outcome", "RemoteEmulator"]

_HOMES = {
    "ANY_KEY": "account",
    "AlchemyEmulator": "server",
    "Call": "calls",
    "ChainLog": "chain",
    "FaultKind": "faults",
    "JobPlan": "jobs",
    "Outcome": "jobs",
    "RemoteEmulator": "remote",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
