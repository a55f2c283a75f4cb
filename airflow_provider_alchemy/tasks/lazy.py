# SPDX-License-Identifier: Apache-2.0
"""
The modules that a task needs only when it runs, each loaded by its first use: ``lazy.wait.Wait``.

Every worker process reads its DAG file twice a wait, and the DAG processor again and again: they build tasks, most of
which run elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_alchemy.api import endpoints, models
    from airflow_provider_alchemy.chain import networks
    from airflow_provider_alchemy.hooks import alchemy as hook
    from airflow_provider_alchemy.hooks import shared
    from airflow_provider_alchemy.tasks import event_loop, token_job
    from airflow_provider_alchemy.tokens import result as token_result
    from airflow_provider_alchemy.tokens import state as token_state
    from airflow_provider_alchemy.triggers import batch as batch_trigger
    from airflow_provider_alchemy.triggers import reingest as reingest_trigger
    from airflow_provider_alchemy.triggers import wait as wait_trigger
    from airflow_provider_alchemy.waits import batch, freshness, interval, new_tokens, reingest, wait
else:
    from importlib import import_module

    _MODULES = {
        "batch": "waits.batch",
        "batch_trigger": "triggers.batch",
        "endpoints": "api.endpoints",
        "event_loop": "tasks.event_loop",
        "freshness": "waits.freshness",
        "hook": "hooks.alchemy",
        "interval": "waits.interval",
        "models": "api.models",
        "networks": "chain.networks",
        "new_tokens": "waits.new_tokens",
        "reingest": "waits.reingest",
        "reingest_trigger": "triggers.reingest",
        "shared": "hooks.shared",
        "token_job": "tasks.token_job",
        "token_result": "tokens.result",
        "token_state": "tokens.state",
        "wait": "waits.wait",
        "wait_trigger": "triggers.wait",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(name)
        module = globals()[name] = import_module(f"airflow_provider_alchemy.{_MODULES[name]}")
        return module


__all__ = [
    "batch",
    "batch_trigger",
    "endpoints",
    "event_loop",
    "freshness",
    "hook",
    "interval",
    "models",
    "networks",
    "new_tokens",
    "reingest",
    "reingest_trigger",
    "shared",
    "token_job",
    "token_result",
    "token_state",
    "wait",
    "wait_trigger",
]
