# SPDX-License-Identifier: Apache-2.0
"""
The emulator of a demonstration that stays up: a process of its own, which a later one can end.

A demonstration that ends by itself has its emulator inside, so that it can leave none behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from airflow_provider_alchemy.testing import RemoteEmulator
from dev.local_airflow import LocalAirflowError
from dev.local_airflow.processes import ProcessIdentity, end_all, identity_of
from dev.local_airflow.waiting import wait_until

RECORD = "emulator.json"


def start_emulator(home: Path, port: int) -> str:
    """
    Start the emulator; it accepts any key.

    :param home: Where its output and the record of it go.
    :param port: Its port.
    :return: Its URL.
    :raises LocalAirflowError: It did not start.
    """
    with (home / "emulator.log").open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
            [sys.executable, "-m", "airflow_provider_alchemy.testing.emulator", f"--port={port}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    identity = identity_of(process.pid)
    if identity is not None:
        (home / RECORD).write_text(json.dumps(asdict(identity)), encoding="utf-8")
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        if process.poll() is not None:
            lines = (home / "emulator.log").read_text(encoding="utf-8").strip().splitlines()
            msg = f"The emulator ended by itself: {lines[-1] if lines else 'without a word'}"
            raise LocalAirflowError(msg)
        return emulator.is_there()

    with RemoteEmulator(url, timeout_seconds=1) as emulator:
        wait_until(answers, failure=lambda: f"The emulator does not answer at {url}")
    return url


def stop_emulator(home: Path) -> None:
    """
    End the emulator that stayed up, if there is one.

    :param home: Where its record is.
    :raises LocalAirflowError: It survives.
    """
    record = home / RECORD
    if not record.exists():
        return
    identity = ProcessIdentity(**json.loads(record.read_text(encoding="utf-8")))
    left = end_all(
        lambda: {identity} if identity_of(identity.pid) == identity else set(), term_seconds=5, kill_seconds=5
    )
    if left:
        msg = f"The emulator survives as process {identity.pid}."
        raise LocalAirflowError(msg)
    record.unlink()
