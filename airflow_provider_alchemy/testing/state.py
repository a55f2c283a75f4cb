# SPDX-License-Identifier: Apache-2.0
"""Everything that the emulated account remembers, behind one lock.

The server's loop and the test's threads both reach it; every method of :class:`Steering` and the processing
of a call hold the lock.
"""

from __future__ import annotations

import threading

from airflow_provider_alchemy.testing.calls import Call
from airflow_provider_alchemy.testing.chain import ChainBoard
from airflow_provider_alchemy.testing.faults import FaultPlan
from airflow_provider_alchemy.testing.jobs import JobBoard, JobPlan
from airflow_provider_alchemy.testing.keys import ApiKeys, KeyRing
from airflow_provider_alchemy.testing.metering import ThroughputWindow
from airflow_provider_alchemy.testing.settings import Settings
from airflow_provider_alchemy.testing.token_collections import CollectionBoard


class ServiceState:
    """The state of the emulated account.

    :param settings: the switches to start with, and to return to at a reset.
    :param default_plan: what a collection without a plan does, to start with and to return to at a reset.
    :param api_keys: the accepted keys, as for :class:`KeyRing`.
    :param seed: seed of the dice for faults with a probability, and of the chains' hashes.
    """

    def __init__(self, settings: Settings, default_plan: JobPlan, api_keys: ApiKeys, seed: int) -> None:
        self.lock = threading.RLock()
        self.keys = KeyRing(api_keys)
        self._initial = (settings, default_plan, seed)
        self.reset()

    def reset(self) -> None:
        """Forget everything but the keys: connections that hold one go on working."""
        settings, default_plan, seed = self._initial
        with self.lock:
            self.settings = settings
            self.jobs = JobBoard(default_plan)
            self.collections = CollectionBoard()
            self.chains = ChainBoard(seed)
            self.node_calls = 0
            self.faults = FaultPlan(seed)
            self.window = ThroughputWindow()
            self.calls: list[Call] = []
            self.compute_units = 0
            self.throttled = 0
            self.connections = 0
