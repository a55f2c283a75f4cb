# SPDX-License-Identifier: Apache-2.0
"""The emulator from the command line: ``python -m airflow_provider_alchemy.testing.emulator --port 8765``.

For people who try their DAGs in a running Airflow, and for tests whose processes cannot share a Python
object. With ``--certificate`` and ``--private-key`` it serves TLS, as Alchemy does.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_alchemy.testing.jobs import JobPlan
from airflow_provider_alchemy.testing.keys import ANY_KEY, ApiKeys
from airflow_provider_alchemy.testing.server import LOOPBACK, AlchemyEmulator
from airflow_provider_alchemy.testing.settings import AfterFinished, RetryAfterForm

__all__ = ["AlchemyEmulator", "main"]

_BANNER = """\
Alchemy's NFT API, emulated, listens on {url}; Ctrl-C ends it.
It accepts {keys}.

An Airflow connection to it (for another network than eth-mainnet: {url}/polygon-mainnet and so on):
  export AIRFLOW_CONN_ALCHEMY_DEFAULT='{{"conn_type": "alchemy", "host": "{url}", "password": "{placeholder}"{extra}}}'
{authority}
Steering it:
  curl {url}/_emulator/counters
  curl {url}/_emulator/calls
  curl -X POST {url}/_emulator/jobs -d '{{"address": "{address}", "outcome": "queue_failed"}}'
  curl -X POST {url}/_emulator/default_job -d '{{"queued_seconds": 2, "running_seconds": 60}}'
  curl -X POST {url}/_emulator/collections -d '{{"address": "{address}", "tokens": 500, "refresh_seconds": 5}}'
  curl -X POST {url}/_emulator/reveal -d '{{"address": "{address}", "token_ids": [1, 2]}}'
  curl -X POST {url}/_emulator/mint -d '{{"address": "{address}", "token_ids": [10000]}}'
  curl -X POST {url}/_emulator/mine_blocks -d '{{"blocks": 12}}'
  curl -X POST {url}/_emulator/faults -d '{{"kind": "http", "status": 503, "body": "html", "times": 3}}'
  curl -X DELETE {url}/_emulator/faults
  curl -X POST {url}/_emulator/settings -d '{{"units_per_second": 1000, "retry_after": 2}}'
  curl -X POST {url}/_emulator/reset

"""
_ENDS = {signal.SIGINT, signal.SIGTERM}
_GO_AWAY, _COME_BACK = signal.SIGUSR1, signal.SIGUSR2
_AUTHORITY = "/path/to/authority.pem"
_AUTHORITY_ADVICE = f"""\
There, and for curl, {_AUTHORITY} stands for the file of the authority that signed the certificate:
  export CURL_CA_BUNDLE={_AUTHORITY}
"""
_EXAMPLE_ADDRESS = "0xe9fca552b9eb110c2d170962af740725f71f5644"


def _number_or_none(text: str) -> float | None:
    return None if text == "none" else float(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_alchemy.testing.emulator",
        description="Serve an emulation of Alchemy's NFT API.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8765, help="TCP port; 0 takes a free one")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    parser.add_argument(
        "--certificate", type=Path, metavar="FILE", help="serve TLS with this certificate (PEM); needs --private-key"
    )
    parser.add_argument(
        "--private-key", type=Path, metavar="FILE", help="the certificate's private key (PEM), without a passphrase"
    )
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="accept only the key in this environment variable, not any key"
    )
    parser.add_argument(
        "--units-per-second",
        type=_number_or_none,
        default=300.0,
        help="throughput units a second, or none for no limit",
    )
    parser.add_argument("--retry-after", type=float, metavar="SECONDS", help="Retry-After of a 429 for throughput")
    parser.add_argument(
        "--retry-after-form",
        choices=[*map(str, RetryAfterForm)],
        default="seconds",
        help="form of Retry-After",
    )
    parser.add_argument("--monthly-units", type=int, help="compute units after which every call is refused")
    parser.add_argument("--queued-seconds", type=float, default=5.0, help="how long a job is queued")
    parser.add_argument("--running-seconds", type=float, default=20.0, help="how long a job is in progress")
    parser.add_argument(
        "--after-finished",
        choices=[*map(str, AfterFinished)],
        default="report",
        help="what a call after the end does",
    )
    parser.add_argument(
        "--block-seconds",
        type=_number_or_none,
        default=12.0,
        help="seconds between two blocks, or none for blocks on command only",
    )
    parser.add_argument("--max-block-range", type=int, metavar="BLOCKS", help="how many blocks an eth_getLogs may span")
    parser.add_argument("--latency-seconds", type=float, default=0.0, help="how much later every answer comes")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how many times as fast jobs, refreshes and blocks are"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the dice for faults with a probability")
    return parser


def _accepted_keys(parser: argparse.ArgumentParser, variable: str | None) -> ApiKeys:
    if variable is None:
        return ANY_KEY
    key = os.environ.get(variable)
    if not key:
        # The name is not repeated: whoever gives the key itself by mistake must not read it in a log.
        parser.error("the environment variable that --api-key-env names is not set, or empty")
    return [key]


def _ssl_context(
    parser: argparse.ArgumentParser, certificate: Path | None, private_key: Path | None
) -> ssl.SSLContext | None:
    if certificate is None and private_key is None:
        return None
    if certificate is None or private_key is None:
        parser.error("--certificate and --private-key belong together: give both, or neither for plain http")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        for file in (certificate, private_key):
            file.read_bytes()  # Python's error about a file that it cannot read names the file, OpenSSL's does not.
        # A passphrase would be asked for on the terminal, where there may be nobody.
        context.load_cert_chain(certificate, private_key, password="")  # nosec B106 # none: it must not ask
    except OSError as error:
        parser.error(f"the files of --certificate and --private-key cannot be used: {error}")
    return context


def _build(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> AlchemyEmulator:
    api_keys = _accepted_keys(parser, arguments.api_key_env)
    ssl_context = _ssl_context(parser, arguments.certificate, arguments.private_key)
    try:
        return AlchemyEmulator(
            arguments.port,
            host=arguments.host,
            api_keys=api_keys,
            default_job=JobPlan(queued_seconds=arguments.queued_seconds, running_seconds=arguments.running_seconds),
            seed=arguments.seed,
            ssl_context=ssl_context,
            units_per_second=arguments.units_per_second,
            retry_after=arguments.retry_after,
            retry_after_form=arguments.retry_after_form,
            monthly_units=arguments.monthly_units,
            after_finished=arguments.after_finished,
            block_seconds=arguments.block_seconds,
            max_block_range=arguments.max_block_range,
            latency_seconds=arguments.latency_seconds,
            speed=arguments.speed,
        )
    except ValueError as error:
        parser.error(str(error))


def _banner(url: str, *, any_key: bool) -> str:
    has_tls = url.startswith("https:")
    return _BANNER.format(
        url=url,
        address=_EXAMPLE_ADDRESS,
        keys="any key you like" if any_key else "only the key in the variable that --api-key-env names",
        placeholder="any-key-you-like" if any_key else "<the key>",
        extra=f', "extra": {{"verify": "{_AUTHORITY}"}}' if has_tls else "",
        authority=_AUTHORITY_ADVICE if has_tls else "",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM.

    SIGUSR1 closes the port and every connection, as when the service is down; SIGUSR2 opens it again. Jobs go on
    meanwhile.

    :param argv: the command line's arguments; None, the default: those of this process.
    :return: the exit status: 0, or 1 when the port cannot be used.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    emulator = _build(parser, arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # Blocked before the server's thread exists, and so in that thread too: they wait for sigwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDS, _GO_AWAY, _COME_BACK})
    try:
        emulator.start()
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "is already taken: choose another with --port" if taken else f"cannot be used: {error}"
        sys.stderr.write(f"Port {arguments.port} on {arguments.host} {reason}.\n")
        return 1
    sys.stdout.write(_banner(emulator.url, any_key=arguments.api_key_env is None))
    sys.stdout.flush()
    _obey_signals(emulator)
    return 0


def _obey_signals(emulator: AlchemyEmulator) -> None:
    is_away = False
    while (received := signal.sigwait({*_ENDS, _GO_AWAY, _COME_BACK})) not in _ENDS:
        if received == _GO_AWAY:
            emulator.stop()
        elif is_away:
            emulator.start()
        is_away = received == _GO_AWAY
    emulator.stop()


if __name__ == "__main__":
    sys.exit(main())
