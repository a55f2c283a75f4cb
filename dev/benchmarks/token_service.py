# SPDX-License-Identifier: Apache-2.0
"""The service whose tokens are refreshed, seen from the benchmark that starts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.benchmarks.processes import Child, child, clean_environment
from dev.benchmarks.token_server import Seen
from dev.local_airflow.certificates import Certificates

START_SECONDS = 300.0
ANSWER_SECONDS = 300.0


class TokenServiceClient:
    """
    What a benchmark tells the service, and asks it.

    :param process: Its process.
    :param url: Its base URL.
    :param key: The key that it accepts.
    :param authority: The file of the authority that signed its certificate.
    """

    def __init__(self, process: Child, url: str, key: str, authority: Path) -> None:
        self._process = process
        self.url = url
        self.key = key
        self.authority = authority

    def begin(self, tokens: int, units_per_second: float | None = None) -> None:
        """
        Let it forget all calls.

        :param tokens: How many tokens the collection has from now on.
        :param units_per_second: The account's throughput; None: no limit.
        """
        self._process.tell({"begin": tokens, "units_per_second": units_per_second})
        self._process.hear(within_seconds=ANSWER_SECONDS)

    def wait_for_answers(self, tokens: int, within_seconds: float) -> int:
        """
        Wait until so many tokens have had an answer to the call for their refresh.

        :param tokens: How many, each counted as often as it was asked for.
        :param within_seconds: How long that may take.
        :return: How many have had one: fewer where the time was over.
        """
        self._process.tell({"answered": tokens, "within_seconds": within_seconds})
        answered: int = self._process.hear(within_seconds=within_seconds + ANSWER_SECONDS)["answered"]
        return answered

    def seen(self) -> Seen:
        """
        Ask what was seen since :meth:`begin`.

        :return: It.
        """
        self._process.tell({"seen": True})
        return Seen(**self._process.hear(within_seconds=ANSWER_SECONDS))


@contextmanager
def token_service(certificates: Certificates, folder: Path, latency_seconds: float) -> Iterator[TokenServiceClient]:
    """
    Run the service in a process of its own.

    :param certificates: Its certificate.
    :param folder: Where its standard error goes.
    :param latency_seconds: How much later every answer comes.
    :return: The way to it.
    """
    arguments = {
        "--certificate": certificates.certificate,
        "--private-key": certificates.private_key,
        "--latency-seconds": latency_seconds,
    }
    command_line = [str(part) for pair in arguments.items() for part in pair]
    with child("dev.benchmarks.token_server", *command_line, folder=folder, environment=clean_environment()) as process:
        place = process.hear(within_seconds=START_SECONDS)
        yield TokenServiceClient(process, place["url"], place["key"], certificates.authority)
