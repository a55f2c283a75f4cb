# SPDX-License-Identifier: Apache-2.0
"""
The processes of a benchmark: started as modules of this project, spoken to in lines of JSON, ended with it.

Each one has a process group of its own, which is ended on success, error, Ctrl-C and SIGTERM alike. Should this
process be killed outright, the end of the child's standard input tells it (see ``children``).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import Any

from dev.benchmarks.errors import BenchmarkError

PROJECT = Path(__file__).resolve().parents[2]
TERM_SECONDS = 5.0
ENDING_SECONDS = 1.0
LAST_LINES = 15
UNWANTED = ("AIRFLOW", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
"""How variables begin that would change a measurement."""


class Child:
    """
    A running module.

    :param process: The process, with pipes at its standard input and output.
    :param module: Its module's name, for messages.
    :param errors: The file that its standard error goes to.
    """

    def __init__(self, process: subprocess.Popen[str], module: str, errors: Path) -> None:
        self._process = process
        self._module = module
        self._errors = errors

    def tell(self, message: Mapping[str, Any]) -> None:
        """
        Send the child a message.

        :param message: What it is to know.
        :raises BenchmarkError: It has ended.
        """
        try:
            self._pipe_in.write(json.dumps(message) + "\n")
            self._pipe_in.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def hear(self, *, within_seconds: float) -> dict[str, Any]:
        """
        Wait for a message of the child.

        :param within_seconds: How long it may take; it is ended then.
        :return: The message.
        :raises BenchmarkError: It ended, or said nothing in time.
        """
        patience = Timer(within_seconds, end_group, [self._process])
        patience.start()
        try:
            line = self._pipe_out.readline()
        finally:
            patience.cancel()
        if not line:
            raise self._ended()
        message: dict[str, Any] = json.loads(line)
        return message

    @property
    def _pipe_in(self) -> Any:
        return self._process.stdin

    @property
    def _pipe_out(self) -> Any:
        return self._process.stdout

    def _ended(self) -> BenchmarkError:
        # Its pipe ends a little before it does: whoever ends by itself is to have its own status.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING_SECONDS)
        end_group(self._process)
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = "\n".join(lines[-LAST_LINES:]) or "(no output)"
        return BenchmarkError(f"{self._module} ended too early, with status {self._process.returncode}:\n{last}")


@contextmanager
def child(module: str, *arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Child]:
    """
    Run a module of this project in a process of its own.

    :param module: The module's name.
    :param arguments: Its command line.
    :param folder: Where its standard error goes.
    :param environment: The whole environment; default: this process's.
    :return: The child; its process group is ended with the ``with`` block.
    """
    errors = folder / f"{module}.log"
    with errors.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own modules
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=PROJECT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield Child(process, module, errors)
    finally:
        end_group(process)
        for pipe in (process.stdin, process.stdout):
            # What the child never read cannot be flushed to it any more.
            with suppress(BrokenPipeError):
                if pipe:
                    pipe.close()


def end_group(process: subprocess.Popen[str]) -> None:
    """
    End a process and everything in its process group: asked first, then forced.

    :param process: The group's leader.
    """
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(TERM_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def clean_environment(**more: str) -> dict[str, str]:
    """
    Give this process's environment without what would change a measurement.

    :param more: Variables to set.
    :return: The environment: no proxy, no certificate bundle and nothing of the user's Airflow, except ``more``.
    """
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(UNWANTED)}
    return {**kept, **more}


@contextmanager
def ended_as_with_ctrl_c(signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGHUP)) -> Iterator[None]:
    """
    Let signals that end a process run its ``finally`` blocks first, as Ctrl-C does.

    :param signals: The signals.
    :return: Nothing; they mean what they meant before after the ``with`` block.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
