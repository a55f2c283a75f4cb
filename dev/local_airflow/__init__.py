# SPDX-License-Identifier: Apache-2.0
"""A real Airflow 3 on this computer, as processes, for the demonstration and the end-to-end tests.

It exists because a provider is only proven by the scheduler, the triggerer and the API server
that users run: mocks of them agree with the code under test by construction.
"""

from __future__ import annotations

from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.instance import LocalAirflow
from dev.local_airflow.runs import DagRun, TaskInstance

__all__ = ["DagRun", "LocalAirflow", "LocalAirflowError", "TaskInstance"]
