# SPDX-License-Identifier: Apache-2.0
"""The configuration of one local Airflow, as environment variables, with the reason for each value.

It exists apart from the process handling because these values decide how fast a run starts and how soon
a killed component is noticed; they were measured on two cores.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING

from dev.local_airflow.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRETS_FILE = "local_airflow_secrets.json"

PATIENCE = {
    # How long Airflow bears with what is late, in seconds: a machine that is busy or stands still makes it slow, and
    # no more.
    # A worker whose question the API server has not answered asks again a few times, and then fails its task.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "300",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "10",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "10",
    # The process of a task that has said how it ended is terminated after this long.
    "AIRFLOW__CORE__TASK_SUCCESS_OVERTIME": "300",
    "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": "3600",
    # A scheduler that is later than this takes its own tasks for lost, and starts them once more: a caller that kills
    # one sets what it wants to wait for.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "300",
    "AIRFLOW__TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD": "300",
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
}


def base_url(port: int) -> str:
    """Say where the API server listens.

    :param port: Its port.
    :returns: The URL without a slash at the end.
    """
    return f"http://{LOOPBACK}:{port}"


def secrets_of(home: Path) -> dict[str, str]:
    """Read the keys of this home, or make random ones the first time.

    They are kept with the database, because what was encrypted with a key needs the same key again.

    :param home: The home folder, which exists.
    :returns: Environment variables.
    """
    file = home / SECRETS_FILE
    if file.exists():
        kept: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return kept
    made = {
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii"),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
    }
    write_private(file, json.dumps(made))
    return made


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read.

    :param file: Where; overwritten when it exists.
    :param text: What.
    """
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


def connection_variables(connections: Mapping[str, str]) -> dict[str, str]:
    """Name the environment variables from which Airflow reads connections.

    :param connections: Connection id to its JSON or URI.
    :returns: Environment variables.
    """
    return {f"AIRFLOW_CONN_{conn_id.upper()}": text for conn_id, text in connections.items()}


def inherited_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Take over the caller's environment without what would make this Airflow another one.

    :param outer: The environment of this process.
    :returns: It without any Airflow setting, and with the loopback exempt from proxies.
    """
    kept = {name: value for name, value in outer.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    for name in ("NO_PROXY", "no_proxy"):
        # Workers reach the API server through httpx, which would ask the proxy of a CI machine for it.
        kept[name] = ",".join(part for part in (outer.get(name, ""), LOOPBACK, "localhost") if part)
    # setproctitle otherwise writes over the environment block, in which /proc shows whose process it is.
    kept["SPT_NOENV"] = "1"
    kept["PYTHONUNBUFFERED"] = "1"
    # Container images set it, and then each of the processes compiles all of Airflow again, which takes
    # longer than everything else together.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def airflow_settings(
    *,
    home: Path,
    dags_folder: Path,
    database_url: str,
    port: int,
    unserved_ports: tuple[int, int],
    executor: str,
    parallelism: int,
    short_intervals: bool,
) -> dict[str, str]:
    """Configure one Airflow.

    :param home: Its home folder, absolute.
    :param dags_folder: The folder of its DAG files, absolute.
    :param database_url: Its metadata database, for SQLAlchemy.
    :param port: The port of its API server.
    :param unserved_ports: Two ports on which nothing listens, in place of the log servers (see below).
    :param executor: The executor's name.
    :param parallelism: How many task instances run at once; also the number of LocalExecutor workers.
    :param short_intervals: Whether it is to react as soon as a test wants it; else at Airflow's own intervals.
    :returns: Environment variables.
    """
    worker_log_port, trigger_log_port = unserved_ports
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__EXECUTOR": executor,
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        # Only what the caller brings: examples cost a minute of parsing, default connections hide mistakes.
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        # No login page, and a token for the asking.
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": base_url(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url(port)}/execution/",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        # The log servers bind all interfaces and cannot be told otherwise, so they are not started: the API
        # server reads the same files. It still asks these ports about a running task; nobody may answer.
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log_port),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_port),
        "AIRFLOW__METRICS__STATSD_ON": "False",
        **PATIENCE,
        **(_intervals() if short_intervals else {}),
    }


def _intervals() -> dict[str, str]:
    """Return the intervals, in seconds, that Airflow sets for a data centre and that a test waits for."""
    return {
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
        # A scheduler killed with its workers: the next one looks this often for tasks of one that was silent too long.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
        # The supervisor of a task that failed notices its end only when the next heartbeat is due.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # A triggerer that has been silent for this long loses its triggers to the next. There is only one
        # at a time, so a false alarm on a busy machine does no harm: it takes its own triggers again.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3",
        # A new file is seen within two seconds, a changed one too (by its time). Unchanged files are parsed
        # again twice a minute only, since parsing takes the cores from the tasks.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
        "AIRFLOW__API__AUTO_REFRESH_INTERVAL": "1",
    }
