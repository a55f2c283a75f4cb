# SPDX-License-Identifier: Apache-2.0
"""
The service whose tokens are refreshed: the emulator over TLS, in a process of its own.

It takes lines of JSON and answers each with one: ``begin`` forgets what was, ``seen`` tells what was asked for, and
``answered`` waits until so many tokens have had an answer.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_alchemy.testing import AlchemyEmulator
from dev.benchmarks.children import allow_many_connections, hear, open_channel, say

ADDRESS = "0x" + "ab" * 20
LOOK_SECONDS = 0.002


@dataclass(frozen=True)
class Seen:
    """
    What the service has seen since it began anew.

    :param calls: Calls of the API.
    :param refused: Those that were answered with 429.
    :param compute_units: What was billed.
    :param seconds: From the first call until the last one had its answer.
    :param cpu_seconds: CPU time of its process: where that comes near to ``seconds``, it is what everybody waits for.
    :param connections: TCP connections.
    :param tokens: Different tokens whose refresh was asked for.
    :param again: Those whose refresh was asked for more than once.
    """

    calls: int
    refused: int
    compute_units: int
    seconds: float
    cpu_seconds: float
    connections: int
    tokens: int
    again: int


class TokenService:
    """
    The emulator, and what a benchmark tells it.

    :param emulator: It.
    """

    def __init__(self, emulator: AlchemyEmulator) -> None:
        self._emulator = emulator
        self._cpu_before = 0.0

    def obey(self, message: dict[str, Any]) -> dict[str, Any]:
        """
        Do what a message says.

        :param message: ``{"begin": tokens, "units_per_second": …}``, ``{"answered": tokens, "within_seconds": …}`` or
            ``{"seen": True}``.
        :return: The answer to it.
        """
        if "begin" in message:
            self._emulator.reset()
            self._emulator.configure(units_per_second=message["units_per_second"])
            self._emulator.set_collection(ADDRESS, tokens=message["begin"])
            self._cpu_before = time.process_time()
            return {"begun": True}
        if "answered" in message:
            return {"answered": self._wait_for_answers(message["answered"], message["within_seconds"])}
        return asdict(self._seen())

    def _wait_for_answers(self, tokens: int, within_seconds: float) -> int:
        ends = time.monotonic() + within_seconds
        while (answered := self._answered()) < tokens and time.monotonic() < ends:
            time.sleep(LOOK_SECONDS)
        return answered

    def _answered(self) -> int:
        # A call is noted when it comes; its answer goes out so much later.
        until = time.time() - self._emulator.settings.latency_seconds
        return sum(len(call.token_ids) for call in self._emulator.calls if call.refreshes and call.at <= until)

    def _seen(self) -> Seen:
        cpu_seconds = time.process_time() - self._cpu_before
        emulator = self._emulator
        calls = emulator.calls
        asked = Counter(token_id for call in calls if call.refreshes for token_id in call.token_ids)
        return Seen(
            calls=len(calls),
            refused=emulator.throttled,
            compute_units=emulator.compute_units,
            seconds=calls[-1].at - calls[0].at + emulator.settings.latency_seconds if calls else 0.0,
            cpu_seconds=cpu_seconds,
            connections=emulator.connections,
            tokens=len(asked),
            again=sum(times > 1 for times in asked.values()),
        )


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve until the starter is gone; the first message to it is the URL and the key.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.token_server", description=__doc__)
    parser.add_argument("--certificate", required=True, help="the server's certificate (PEM)")
    parser.add_argument("--private-key", required=True, help="its private key (PEM)")
    parser.add_argument("--latency-seconds", type=float, required=True, help="how much later every answer comes")
    arguments = parser.parse_args(argv)
    channel = open_channel()
    allow_many_connections()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.private_key)
    with AlchemyEmulator(ssl_context=context, latency_seconds=arguments.latency_seconds) as emulator:
        service = TokenService(emulator)
        say(channel, {"url": emulator.url, "key": emulator.api_key})
        while True:
            # Ends this process where nobody is there any more.
            say(channel, service.obey(hear()))


if __name__ == "__main__":
    sys.exit(main())
