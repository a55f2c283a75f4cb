# SPDX-License-Identifier: Apache-2.0


"""The DAGs of these tests: as small as they can be, each for one thing that a real Airflow does."""

from __future__ import annotations

import subprocess
import time
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import DAG, BaseHook, get_current_context, task


def _produce() -> dict[str, object]:
    print("a line from the task")  # noqa: T201 - what the test reads back from the log
    context = get_current_context()
    return {
        "number": 1,
        "list": [1, "two", None],
        "conf": context["dag_run"].conf,
        "host": BaseHook.get_connection("somewhere").host,
    }


@task(map_index_template="number {{ task.op_kwargs['number'] }}")
def square(number: int) -> int:
    """Square a number."""
    return number * number


@task
def fail() -> None:
    """Fail."""
    msg = "this task always fails"
    raise ValueError(msg)


@task
def linger(seconds: float) -> str:
    """Take a while, with a child in a session of its own and without an environment."""
    with subprocess.Popen(["/bin/sleep", "600"], env={}, start_new_session=True) as child:
        time.sleep(seconds)
        child.kill()
    return "lingered"


with DAG("plain", schedule=None):
    PythonOperator(task_id="produce", python_callable=_produce) >> EmptyOperator(task_id="end")
    square.expand(number=[1, 2, 3])

# Until a test writes the file.
with DAG("waiting", schedule=None):
    FileSensor(task_id="wait", filepath=f"{Path(__file__).parent}/{{{{ run_id }}}}", deferrable=True, poke_interval=1)

with DAG("failing", schedule=None):
    fail()

with DAG("lingering", schedule=None, default_args={"retries": 2, "retry_delay": timedelta(seconds=1)}):
    linger(8)
