# SPDX-License-Identifier: Apache-2.0
"""
A cluster on one machine: what runs Airflow in production, as real processes, with the emulator behind TLS.

It exists because a promise about clusters must have been seen on one: a database server, a queue, several workers and
triggerers, each of which can be killed alone.
"""

from __future__ import annotations

from dev.cluster.running import Cluster, open_cluster

__all__ = ["Cluster", "open_cluster"]
