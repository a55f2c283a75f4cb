# SPDX-License-Identifier: Apache-2.0
"""The polled service, seen from the benchmark that starts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from dev.benchmarks.processes import child, clean_environment
from dev.local_airflow.certificates import Certificates

START_SECONDS = 300.0
ANSWER_SECONDS = 300.0


class PolledServiceClient:
    """
    What a benchmark tells the service, and asks it.

    :param url: Its base URL.
    :param authority: The file of the authority that signed its certificate.
    """

    def __init__(self, url: str, authority: Path) -> None:
        self.url = url
        self._session = requests.Session()
        # Neither a proxy nor a bundle of the user's environment stands between here and the service.
        self._session.trust_env = False
        self._session.verify = str(authority)

    def begin(self, seconds: float) -> None:
        """
        Let it forget all jobs and counts.

        :param seconds: How long jobs take from now on.
        """
        answer = self._session.post(f"{self.url}/begin", params={"seconds": seconds}, timeout=ANSWER_SECONDS)
        answer.raise_for_status()

    def counters(self, side: str) -> dict[str, int]:
        """
        Ask what a side has sent since :meth:`begin`.

        :param side: The side's name.
        :return: ``requests`` and ``connections``.
        """
        answer = self._session.get(f"{self.url}/counters", timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        counts: dict[str, int] = answer.json().get(side, {"requests": 0, "connections": 0})
        return counts

    def close(self) -> None:
        """Close the connection to it."""
        self._session.close()


@contextmanager
def polled_service(certificates: Certificates, folder: Path) -> Iterator[PolledServiceClient]:
    """
    Run the service in a process of its own.

    :param certificates: Its certificate.
    :param folder: Where its standard error goes.
    :return: The way to it.
    """
    arguments = ["--certificate", str(certificates.certificate), "--private-key", str(certificates.private_key)]
    with child("dev.benchmarks.server", *arguments, folder=folder, environment=clean_environment()) as process:
        port = process.hear(within_seconds=START_SECONDS)["port"]
        client = PolledServiceClient(f"https://127.0.0.1:{port}", certificates.authority)
        try:
            yield client
        finally:
            client.close()
