# SPDX-License-Identifier: Apache-2.0
"""One local Airflow from start to end: the class that the demonstration and the end-to-end tests use."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from dev.local_airflow import kept
from dev.local_airflow.command_lines import component_commands
from dev.local_airflow.component_steering import ComponentSteering
from dev.local_airflow.components import Components
from dev.local_airflow.connections import import_connections, with_shared_budget
from dev.local_airflow.dags import DagSteering
from dev.local_airflow.database import DatabaseKind, MetadataDatabase, database_type
from dev.local_airflow.ending import DATABASE_SERVER, QUEUE_SERVER
from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.health import wait_healthy
from dev.local_airflow.ports import ReservedPort
from dev.local_airflow.redis_broker import RedisBroker
from dev.local_airflow.rest import RestApi
from dev.local_airflow.settings import (
    airflow_settings,
    base_url,
    connection_variables,
    inherited_environment,
    secrets_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path


CELERY = "CeleryExecutor"


class LocalAirflow(DagSteering, ComponentSteering):
    """A scheduler, a DAG processor, triggerers, an API server and workers, running while the context is open.

    :param home: Its home folder, made if missing: database, logs and keys. A fresh one for each test.
    :param dags_folder: The folder of the DAG files.
    :param connections: Connection id to its JSON or URI.
    :param environment: Further environment variables of its processes; they win over everything else.
    :param services: What else runs beside Airflow, is killed and started again like a component of it, and ends
        with it: name to command line.
    :param executor: The executor; LocalExecutor runs tasks as processes, as a small installation would.
        CeleryExecutor has workers and a Redis between them and the scheduler; it needs PostgreSQL.
    :param triggerers: How many triggerers: ``triggerer``, or ``triggerer-1``, ``triggerer-2`` and so on.
    :param workers: How many Celery workers, ``worker-1`` and so on; they share ``parallelism``.
    :param parallelism: How many task instances run at once; 8 is what two cores take well.
    :param database: SQLite, which needs nothing, or PostgreSQL, which takes the load of many parallel tasks.
    :param port: The port of the API server and web UI; None for any free one.
    :param connections_in_database: Add the connections to the metadata database, where the web UI shows
        them, and not as environment variables. It costs one more Airflow command, some seconds.
    :param shares_budget: With Celery: let all its processes share one budget of compute units, in the same Redis.
    :param short_intervals: Let Airflow react as soon as a test wants it to; False for its own intervals.
    :raises LocalAirflowError: When a package that the database needs is not installed.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        *,
        connections: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        services: Mapping[str, Sequence[str]] | None = None,
        executor: str = "LocalExecutor",
        triggerers: int = 1,
        workers: int = 2,
        parallelism: int = 8,
        database: DatabaseKind = "sqlite",
        port: int | None = None,
        connections_in_database: bool = False,
        shares_budget: bool = False,
        short_intervals: bool = True,
    ) -> None:
        self.home = home.resolve()
        self.dags_folder = dags_folder.resolve()
        self._connections = dict(connections or {})
        self._extra_environment = dict(environment or {})
        self._services = dict(services or {})
        self._executor = executor
        self._triggerers = triggerers
        self._workers = workers if executor == CELERY else 0
        self._parallelism = parallelism
        self._database_type = database_type(database)
        self._wanted_port = port or 0
        self._connections_in_database = connections_in_database
        self._shares_budget = shares_budget
        self._short_intervals = short_intervals
        self._ports: list[ReservedPort] = []
        # Set when the context is entered, since they need the ports.
        self._detached: bool
        self._database: MetadataDatabase
        self._broker: RedisBroker | None = None
        self._airflow_components: Sequence[str]
        self._components: Components
        self._api: RestApi

    def __enter__(self) -> LocalAirflow:
        """Start it, and wait until it is healthy.

        :returns: This object.
        :raises LocalAirflowError: When it does not start; nothing is left running then.
        """
        self._prepare()
        try:
            self._components.watch()
            if self._broker:
                self._broker.open(self._components)
            self._database.open(self._components, self._extra_environment)
            if self._connections_in_database:
                import_connections(self._components, self.home, self._connections)
            self.start_all([*self._services, *self._airflow_components])
        except BaseException:
            # Also on Ctrl-C: half an Airflow is left to nobody.
            self._end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """End everything that was started, unless it was detached.

        :raises LocalAirflowError: When something is left running all the same.
        """
        if self._detached:
            self._let_go()
        else:
            self._end()

    def _prepare(self) -> None:
        kept.fail_if_kept_runs(self.home)
        self._detached = False
        self._ports = [ReservedPort(self._wanted_port, purpose="API server")]
        self._ports += [ReservedPort(purpose="log server that is not started") for _ in range(2)]
        api_port, *unserved = (port.number for port in self._ports)
        self._api = RestApi(base_url(api_port))
        output_folder = self.home / "process_logs"
        output_folder.mkdir(parents=True, exist_ok=True)
        self._database = self._database_type(self.home)
        self._broker = RedisBroker(self.home) if self._executor == CELERY else None
        if self._broker and self._shares_budget:
            self._connections = with_shared_budget(self._connections, self._broker.url)
        environment = inherited_environment(os.environ) | airflow_settings(
            home=self.home,
            dags_folder=self.dags_folder,
            database_url=self._database.url,
            port=api_port,
            unserved_ports=(unserved[0], unserved[1]),
            executor=self._executor,
            parallelism=self._parallelism,
            short_intervals=self._short_intervals,
        )
        in_environment = {} if self._connections_in_database else self._connections
        environment |= secrets_of(self.home) | connection_variables(in_environment)
        airflow = component_commands(self.home, triggerers=self._triggerers, workers=self._workers)
        self._airflow_components = list(airflow)
        servers = dict(self._database.servers)
        if self._broker:
            environment |= self._broker.settings(self._database.url)
            environment["AIRFLOW__CELERY__WORKER_CONCURRENCY"] = str(max(self._parallelism // self._workers, 1))
            servers |= self._broker.servers
        self._components = Components(
            instance_id=secrets.token_hex(16),
            environment=environment | self._extra_environment,
            working_folder=self.home,
            output_folder=output_folder,
            commands={**servers, **self._services, **airflow},
        )

    def _end(self) -> None:
        # Kept-alive connections first: the API server would wait for them.
        self._api.close()
        try:
            self._components.end()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._api.close()
        self._database.release()
        if self._broker:
            self._broker.release()
        for port in self._ports:
            port.release()

    @property
    def url(self) -> str:
        """The base URL of the API server and web UI, without a slash at the end."""
        return self._api.url

    @property
    def log_folder(self) -> Path:
        """The folder of the task logs."""
        return self.home / "logs"

    @property
    def database_path(self) -> Path:
        """Where the metadata database is: SQLite's file, or PostgreSQL's folder."""
        return self._database.path

    @property
    def database_url(self) -> str:
        """The URL of the metadata database for SQLAlchemy, with the password that is its own."""
        return self._database.url

    @property
    def queue_url(self) -> str | None:
        """The URL of the Redis between scheduler and workers, with its password; None without Celery."""
        return self._broker.url if self._broker else None

    def diagnosis(self) -> str:
        """Tell what is known about the components, for a failure's sentence.

        :returns: Sentences about those that ended by themselves, and the import errors.
        """
        sentences = [f"The {name} ended by itself." for name in self._components.dead()]
        try:
            sentences += [f"{row['filename']}: {row['stack_trace']}" for row in self.import_errors()]
        except LocalAirflowError as error:
            sentences.append(str(error))
        return "\n".join(sentences)

    def progress(self) -> int:
        """Read how far the tasks have come, for the guard of a wait.

        :returns: The bytes that they have logged: tasks in workers and in triggerers, and nothing that only shows that
            Airflow is alive.
        :raises LocalAirflowError: When a component ended by itself.
        """
        self._components.fail_if_dead(self._components.dead())
        logs = [file for folder in self.log_folder.glob("dag_id=*") for file in folder.rglob("*.log")]
        return sum(file.stat().st_size for file in logs)

    def _wait_for(self, started: Mapping[str, datetime]) -> None:
        if self._detached:
            self._write_kept()
        if DATABASE_SERVER in started:
            self._database.wait_ready(self._components)
        if self._broker and QUEUE_SERVER in started:
            self._broker.wait_ready(self._components)
        if started.keys() & {*self._airflow_components}:
            wait_healthy(self._api, self._components, started, workers=self._broker)

    def detach(self) -> None:
        """Leave everything running when the context is left; ``stop_kept`` ends it."""
        self._detached = True
        self._write_kept()
        self._components.leave_running()

    def _write_kept(self) -> None:
        components = self._components
        kept.write_kept(self.home, kept.Kept(components.instance_id, self.url, components.identities))

    @staticmethod
    def stop_kept(home: Path) -> bool:
        """End what ``detach`` left running, after verifying that the processes are its own.

        :param home: The home folder it was started with.
        :returns: Whether anything still ran.
        :raises LocalAirflowError: When something survives.
        """
        return kept.stop_kept(home.resolve())
