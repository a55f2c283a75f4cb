# SPDX-License-Identifier: Apache-2.0
"""The reference of a soak: as many waits of Airflow's own, so that what grows with them is told from what is ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import Param

from dev.benchmarks.soak.kinds import TASK, UNTIL, Kind

START = pendulum.datetime(2026, 1, 1, tz="UTC")


class FailingSensor(DateTimeSensorAsync):
    """Fails when its time has come."""

    def execute_complete(self, context: Any, event: Any = None) -> None:
        del context, event
        msg = "it was told to fail"
        raise RuntimeError(msg)


def sensor(kind: Kind, sensor_class: type[DateTimeSensorAsync], **arguments: Any) -> None:
    with DAG(
        kind.value, schedule=None, start_date=START, params={UNTIL: Param("", type="string")}, max_active_runs=100
    ):
        sensor_class(
            task_id=TASK,
            target_time=f"{{{{ params.{UNTIL} }}}}",
            timeout=timedelta(minutes=10).total_seconds(),
            retries=0,
            **arguments,
        )


sensor(Kind.CORE_WAIT, DateTimeSensorAsync)
sensor(Kind.CORE_WAIT_IN_TRIGGERER, DateTimeSensorAsync, start_from_trigger=True, end_from_trigger=True)
sensor(Kind.CORE_FAILED, FailingSensor)
