# SPDX-License-Identifier: Apache-2.0
"""
Counts the asyncio tasks of a triggerer from inside, without a change to what is measured.

Airflow imports a module of this name in each of its processes, and this folder is on their ``PYTHONPATH``. Only the
event loop of a triggerer's runner counts: it is made after the fork, by the policy that the runner inherits.
"""

from __future__ import annotations

from dev.benchmarks.soak.counting import count_tasks_of_triggerers

__all__: list[str] = []
"""Airflow takes no setting from here."""

count_tasks_of_triggerers()
