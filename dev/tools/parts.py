# SPDX-License-Identifier: Apache-2.0
"""
Run parts of the checks, and end with what came of each: ``make test``, ``make test-all``.

A part is a target of the Makefile, so that each can be run by itself. They run side by side, because the tests on a
real Airflow mostly wait: one part at a time that uses all cores, beside it those that wait. What a part wrote is shown
as a whole when it ends. A part that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_JOBS = 3
# Airflow's processes wait for each other, and do badly when they wait for a core.
NICE = ("nice", "-n", "5")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED_STATUS = 130
WIDTH = 78


@dataclass(frozen=True)
class Part:
    """
    A part of the checks.

    :param target: The target of the Makefile that runs it.
    :param what: What it checks.
    :param waits: Whether it mostly waits for processes of Airflow; else it uses all cores.
    :param is_excerpt: Whether other parts hold all of it.
    """

    target: str
    what: str
    waits: bool = False
    is_excerpt: bool = False


# In the order in which they begin: the longest of those that wait come first.
PARTS = (
    Part("lint", "ruff, mypy, import-linter, deptry, bandit, pip-audit"),
    Part("test-smoke", "each operator and sensor on one real Airflow", waits=True),
    Part("test-in-process", "unit and integration tests and whole DAG runs on the newest Airflow"),
    Part("test-e2e-cluster", "kills and the short soak on a whole cluster", waits=True),
    Part("test-e2e-chain", "watchers on a real Airflow", waits=True),
    Part("test-local-airflow", "the real Airflow that the other parts use", waits=True),
    Part("test-e2e-waits", "single waits on a real Airflow", waits=True),
    Part("test-e2e-without_worker", "waits that start and end in the triggerer", waits=True),
    Part("test-e2e-contracts", "batches of contracts on a real Airflow", waits=True),
    Part("test-e2e-tokens", "the refresh of tokens on a real Airflow", waits=True),
    Part("test-e2e-page", "the page in Airflow's web UI, in a browser", waits=True),
    Part("test-e2e-cluster_command", "make cluster, as a person uses it", waits=True),
    Part("test-slow", "the in-process tests that are marked as slow"),
    Part("test-faults", "each fault of the service in each place where it can come"),
    Part("test-benchmarks", "the measurements themselves"),
    Part("test-matrix", "in-process tests on the older Airflows"),
    Part(
        "test-versions",
        "the same on Airflow 3.1, the 3.4 pre-release, and with the lowest versions of all dependencies",
    ),
    Part("dist-check", "wheel and sdist"),
    Part("test-docs", "what the documents say, link to and show", is_excerpt=True),
)
WHOLE = tuple(part for part in PARTS if not part.is_excerpt)
BY_TARGET = {part.target: part for part in PARTS}


class Result(StrEnum):
    """What came of a part."""

    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Outcome:
    """
    A part that was begun.

    :param part: The part.
    :param result: What came of it.
    :param seconds: How long it took.
    """

    part: Part
    result: Result
    seconds: float


class Runner:
    """
    Runs parts.

    :param out: Where their output and the progress go.
    :param jobs: How many parts run at once; 1: one after the other, their output as it comes.
    :param project: The folder of the Makefile.
    """

    def __init__(self, out: IO[str] = sys.stdout, *, jobs: int = DEFAULT_JOBS, project: Path = PROJECT) -> None:
        self._out = out
        self._is_side_by_side = jobs > 1
        self._project = project
        self._cores = asyncio.Semaphore(1)
        self._waiting = asyncio.Semaphore(jobs - 1) if jobs > 1 else self._cores
        self._processes: list[asyncio.subprocess.Process] = []
        self._signals = 0
        self._outcomes: list[Outcome] = []

    async def run(self, parts: Sequence[Part]) -> list[Outcome]:
        """
        Run parts.

        :param parts: The parts, in the order in which they begin.
        :return: Those that were begun, in the order in which they ended.
        """
        with self._interruptions():
            await asyncio.gather(*map(self._run, parts))
        return self._outcomes

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C or another signal ended it."""
        return self._signals > 0

    @contextlib.contextmanager
    def _interruptions(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for one in ENDING:
            loop.add_signal_handler(one, self._interrupt)
        try:
            yield
        finally:
            for one in ENDING:
                loop.remove_signal_handler(one)
            self._send(signal.SIGKILL)

    def _interrupt(self) -> None:
        """Let the parts end as they would on Ctrl-C, which ends their Airflows; the second time, end them at once."""
        self._signals += 1
        self._send(signal.SIGINT if self._signals == 1 else signal.SIGKILL)

    def _send(self, to_send: signal.Signals) -> None:
        for process in self._processes:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, to_send)

    async def _run(self, part: Part) -> None:
        async with self._waiting if part.waits else self._cores:
            if not self.is_interrupted:
                await self._run_now(part)

    async def _run_now(self, part: Part) -> None:
        begun = time.monotonic()
        self._say(f"{part.target}: begun" if self._is_side_by_side else _heading(part.target))
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            process = await asyncio.create_subprocess_exec(
                *(() if part.waits or not self._is_side_by_side else NICE),
                *("make", "--no-print-directory", part.target),
                cwd=self._project,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output if self._is_side_by_side else None,
                stderr=asyncio.subprocess.STDOUT if self._is_side_by_side else None,
                # A group of its own: Ctrl-C reaches it once, through this program.
                start_new_session=True,
            )
            self._processes.append(process)
            if self.is_interrupted:
                self._send(signal.SIGINT)
            status = await process.wait()
            if self._is_side_by_side:
                self._say(_heading(part.target))
                output.seek(0)
                shutil.copyfileobj(output, self._out)
        failed = Result.INTERRUPTED if self.is_interrupted else Result.FAILED
        outcome = Outcome(part, failed if status else Result.PASSED, time.monotonic() - begun)
        self._outcomes.append(outcome)
        self._say(f"{part.target}: {outcome.result} after {_time(outcome.seconds)}")

    def _say(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()


def summary(outcomes: Sequence[Outcome], chosen: Sequence[Part], seconds: float) -> str:
    """
    Say what came of the parts, and what was not run.

    :param outcomes: The parts that were begun.
    :param chosen: The parts that were to run.
    :param seconds: How long all took together.
    :return: A table, and a sentence.
    """
    by_part = {outcome.part: outcome for outcome in outcomes}
    rows = [("part", "result", "time")]
    for part in chosen:
        outcome = by_part.get(part)
        rows.append(
            (part.target, outcome.result, _time(outcome.seconds)) if outcome else (part.target, "not begun", "")
        )
    rows.append(("all together", "", _time(seconds)))
    width = max(len(row[0]) for row in rows)
    lines = [f"{name:<{width}}  {result:<11}  {took:>12}".rstrip() for name, result, took in rows]
    return "\n".join([_heading("what was run"), *lines, "", left_out(chosen)])


def left_out(chosen: Sequence[Part]) -> str:
    """
    Say which parts are not among the chosen ones.

    :param chosen: The chosen parts.
    :return: A sentence.
    """
    others = [part.target for part in WHOLE if part not in chosen]
    if not others:
        return "Nothing was left out."
    sentences = f"Not run: {', '.join(others)}. `make {others[0]}` runs one of them, `make test-all` everything."
    return textwrap.fill(sentences, WIDTH, break_on_hyphens=False)


def run(targets: Sequence[str], *, jobs: int = DEFAULT_JOBS, out: IO[str] = sys.stdout, project: Path = PROJECT) -> int:
    """
    Run parts and say what came of them.

    :param targets: The targets of the parts.
    :param jobs: How many run at once.
    :param out: Where everything is written.
    :param project: The folder of the Makefile.
    :return: The exit status.
    """
    chosen = [part for part in PARTS if part.target in targets]
    begun = time.monotonic()

    async def all_of_them() -> tuple[list[Outcome], bool]:
        runner = Runner(out, jobs=jobs, project=project)
        return await runner.run(chosen), runner.is_interrupted

    outcomes, is_interrupted = asyncio.run(all_of_them())
    out.write(summary(outcomes, chosen, time.monotonic() - begun) + "\n")
    if is_interrupted:
        return INTERRUPTED_STATUS
    return int(any(outcome.result is not Result.PASSED for outcome in outcomes))


def _heading(text: str) -> str:
    return f"\n==== {text} ".ljust(WIDTH, "=")


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the parts that are named on the command line.

    :param arguments: The command line; None: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.tools.parts", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(BY_TARGET))
    parser.add_argument("--all", action="store_true", help="run every part")
    jobs_help = "how many run at once; 1: one after the other, their output as it comes"
    parser.add_argument("--jobs", type=int, default=DEFAULT_JOBS, help=jobs_help)
    chosen = parser.parse_args(arguments)
    unknown = sorted({*chosen.parts} - BY_TARGET.keys())
    if unknown or chosen.jobs < 1 or not (chosen.all or chosen.parts):
        parser.error(
            f"no such part: {', '.join(unknown)}" if unknown else "name a part, or --all, and at least one job"
        )
    return run([part.target for part in WHOLE] if chosen.all else chosen.parts, jobs=chosen.jobs)


if __name__ == "__main__":
    sys.exit(main())
