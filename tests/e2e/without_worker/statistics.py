# SPDX-License-Identifier: Apache-2.0
"""A StatsD server that keeps what Airflow's processes tell it."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from typing import Self

LARGEST = 65_535


class StatisticsServer:
    """Listens on a loopback port while the context is open; counters are summed, gauges keep each value."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.gauges: dict[str, list[float]] = {}
        self.senders: dict[str, set[int]] = {}
        """Which ports sent a counter or gauge: each process has its own."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            data, (_, port) = self._socket.recvfrom(LARGEST)
            if not data:
                return
            for line in data.decode().splitlines():
                self._keep(line, port)

    def _keep(self, line: str, port: int) -> None:
        name, _, rest = line.partition(":")
        value, _, kind = rest.partition("|")
        if not name.startswith("airflow.alchemy."):
            return
        self.senders.setdefault(name, set()).add(port)
        if kind == "c":
            self.counters[name] += int(value)
        elif kind == "g":
            self.gauges.setdefault(name, []).append(float(value))
