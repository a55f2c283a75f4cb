# SPDX-License-Identifier: Apache-2.0
"""The emulator from the command line: ``python -m airflow_provider_alchemy.testing.emulator --port 8765``.

For people who try their DAGs in a running Airflow, and for tests whose processes cannot share a Python object. With
``--certificate`` and ``--private-key`` it serves TLS, as Alchemy does. Each switch of the service is an option.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import logging
import os
import re
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_provider_alchemy.testing.account import ANY_KEY
from airflow_provider_alchemy.testing.jobs import JobPlan
from airflow_provider_alchemy.testing.server import LOOPBACK, AlchemyEmulator
from airflow_provider_alchemy.testing.settings import Settings

__all__ = ["AlchemyEmulator", "main"]

_BANNER = """\
Alchemy's NFT API, emulated, listens on {url}; Ctrl-C ends it.
It accepts {keys}.

An Airflow connection to it (for another network than eth-mainnet: {url}/polygon-mainnet and so on):
  export AIRFLOW_CONN_ALCHEMY_DEFAULT='{{"conn_type": "alchemy", "host": "{url}", "password": "{placeholder}"{extra}}}'
{authority}
Steering it:
  curl {url}/_emulator/counters
  curl -X POST {url}/_emulator/jobs -d '{{"address": "{address}", "outcome": "queue_failed"}}'
  curl -X POST {url}/_emulator/default_job -d '{{"queued_seconds": 2, "running_seconds": 60}}'
  curl -X POST {url}/_emulator/collections -d '{{"address": "{address}", "tokens": 500, "refresh_seconds": 5}}'
  curl -X POST {url}/_emulator/reveal -d '{{"address": "{address}", "token_ids": [1, 2]}}'
  curl -X POST {url}/_emulator/mine_blocks -d '{{"blocks": 12}}'
  curl -X POST {url}/_emulator/faults -d '{{"kind": "http", "status": 503, "body": "html", "times": 3}}'
  curl -X DELETE {url}/_emulator/faults
  curl -X POST {url}/_emulator/settings -d '{{"units_per_second": 1000, "retry_after": 2}}'
  curl -X POST {url}/_emulator/reset

"""
_ADDRESS = "0xe9fca552b9eb110c2d170962af740725f71f5644"
_AUTHORITY = """\
There, and for curl, /path/to/authority.pem stands for the file of the authority that signed the certificate:
  export CURL_CA_BUNDLE=/path/to/authority.pem
"""
_ENDS = {signal.SIGINT, signal.SIGTERM}
_GO_AWAY, _COME_BACK = signal.SIGUSR1, signal.SIGUSR2


def _switch(text: str) -> Any:
    """Read a switch as JSON or else as a word; only the switch itself knows what it accepts."""
    try:
        return None if text == "none" else json.loads(text)
    except ValueError:
        return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_alchemy.testing.emulator",
        description="Serve an emulation of Alchemy's NFT API. Of the switches, none, true and false are values too.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8765, help="TCP port; default 8765, 0 takes a free one")
    add("--host", default=LOOPBACK, help=f"address to listen on; default {LOOPBACK}")
    add("--certificate", type=Path, metavar="FILE", help="serve TLS with this certificate (PEM); needs --private-key")
    add("--private-key", type=Path, metavar="FILE", help="its private key (PEM), without a passphrase")
    add("--api-key-env", metavar="NAME", help="accept only the key in this environment variable, not any key")
    add("--seed", type=int, default=0, help="seed of the dice for faults with a probability")
    add("--queued-seconds", type=float, default=5.0, help="how long a job is queued; default 5")
    add("--running-seconds", type=float, default=20.0, help="how long a job is in progress; default 20")
    texts = dict(re.findall(r":param (\w+): (.*?)(?=\s+:param|\s*\Z)", Settings.__doc__ or "", re.DOTALL))
    for field in dataclasses.fields(Settings):
        text = re.sub(r"\s+", " ", texts.get(field.name, "")).replace("`", "").replace("%", "%%")
        option = f"--{field.name.replace('_', '-')}"
        add(option, type=_switch, default=field.default, metavar="VALUE", help=text)
    return parser


def _build(arguments: argparse.Namespace) -> AlchemyEmulator:
    variable, certificate, private_key = arguments.api_key_env, arguments.certificate, arguments.private_key
    if variable is not None and not os.environ.get(variable):
        # The name is not repeated: where the key itself was given by mistake, no log must show it.
        msg = "the environment variable that --api-key-env names is not set, or empty"
        raise ValueError(msg)
    if (certificate is None) != (private_key is None):
        msg = "--certificate and --private-key belong together: give both, or neither for plain http"
        raise ValueError(msg)
    return AlchemyEmulator(
        arguments.port,
        host=arguments.host,
        api_keys=ANY_KEY if variable is None else [os.environ[variable]],
        default_job=JobPlan(queued_seconds=arguments.queued_seconds, running_seconds=arguments.running_seconds),
        seed=arguments.seed,
        ssl_context=_ssl_context(certificate, private_key) if certificate else None,
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Settings)},
    )


def _ssl_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        for file in (certificate, private_key):
            file.read_bytes()  # Python's error about a file that it cannot read names the file, OpenSSL's does not.
        # A passphrase would be asked for on the terminal.
        context.load_cert_chain(certificate, private_key, password="")  # nosec B106 # none: it must not ask
    except OSError as error:
        msg = f"the files of --certificate and --private-key cannot be used: {error}"
        raise ValueError(msg) from None
    return context


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM.

    SIGUSR1 closes the port and every connection, as when the service is down; SIGUSR2 opens it again. Jobs go on
    meanwhile.

    :param argv: the command line's arguments; None, the default: those of this process.
    :return: the exit status: 0, or 1 when the port cannot be used.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        emulator = _build(arguments)
    except ValueError as error:
        parser.error(str(error))
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
    any_key, has_tls = arguments.api_key_env is None, arguments.certificate is not None
    banner = _BANNER.format(
        url=emulator.url,
        address=_ADDRESS,
        keys="any key you like" if any_key else "only the key in the variable that --api-key-env names",
        placeholder="any-key-you-like" if any_key else "<the key>",
        extra=', "extra": {"verify": "/path/to/authority.pem"}' if has_tls else "",
        authority=_AUTHORITY if has_tls else "",
    )
    print(banner, flush=True)  # noqa: T201 - it is what people start this for
    is_away = False
    while (received := signal.sigwait({*_ENDS, _GO_AWAY, _COME_BACK})) not in _ENDS:
        if received == _GO_AWAY:
            emulator.stop()
        elif is_away:
            emulator.start()
        is_away = received == _GO_AWAY
    emulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
