# SPDX-License-Identifier: Apache-2.0
"""
One side's waits, in a process of their own, run as Airflow's triggerer runs them.

Each trigger is an asyncio task with a greenback portal that goes through ``run()``; the log is JSON at INFO on an
unbuffered file, where the triggerer has a socket. What the triggerer does besides (its log line at a trigger's start
and end, the rendering of templates, its supervisor) is the same for all and left out.

Before the measured waits come a few short ones, which import and cache what later ones find ready. CPU time is that
of the whole process, from before the first trigger is made until the last one has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import greenback

from dev.benchmarks.children import allow_many_connections, end_with_the_starter, hear, open_channel, say
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.loop_watch import LoopWatch
from dev.benchmarks.sides import SIDES, Side

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

WARM_UP_INTERVAL = 0.1
SHOWN_FAILURES = 3


@dataclass(frozen=True)
class Waits:
    """
    What to wait for.

    :param side: The side's name.
    :param waits: How many.
    :param interval: Seconds between two polls of one wait.
    :param starts_per_second: How many triggers start in each second; 0: all at once.
    :param warm_up_waits: How many short waits come first.
    """

    side: str
    waits: int
    interval: float
    starts_per_second: int = 0
    warm_up_waits: int = 0


@dataclass(frozen=True)
class Outcome:
    """
    What the process has seen of its waits.

    :param ended_right: Waits that ended with one event, which says that the job has ended well.
    :param failures: The first other ends, as text.
    :param seconds: How long it took until the last one had ended.
    :param cpu_seconds: CPU time of the process meanwhile.
    :param idle_bytes: Its resident memory just before the triggers were made.
    :param peak_bytes: The largest one since.
    :param latest_seconds: The longest delay of the event loop.
    """

    ended_right: int
    failures: list[str]
    seconds: float
    cpu_seconds: float
    idle_bytes: int
    peak_bytes: int
    latest_seconds: float


async def run_trigger(trigger: BaseTrigger) -> list[Any]:
    """
    Run one trigger to its end.

    :param trigger: The trigger.
    :return: The payloads of its events.
    """
    await greenback.ensure_portal()
    return [event.payload async for event in trigger.run()]


async def run_waits(side: Side, waits: Waits, first_number: int = 0) -> list[list[Any] | BaseException]:
    """
    Make the triggers and run them all.

    :param side: Whose.
    :param waits: How many, and how.
    :param first_number: The first wait's number.
    :return: The events of each one, or what it raised.
    """
    tasks = []
    for number in range(waits.waits):
        if waits.starts_per_second and number and number % waits.starts_per_second == 0:
            await asyncio.sleep(1)
        # As the triggerer does: those that have started go on while the others are made.
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(run_trigger(side.make(first_number + number, waits.interval))))
    return await asyncio.gather(*tasks, return_exceptions=True)


async def measure(waits: Waits, begin: Callable[[], object]) -> Outcome:
    """
    Run a few waits to warm up, then the measured ones.

    :param waits: What to wait for.
    :param begin: Called between the two; it may block.
    :return: What was seen of the measured ones.
    :raises BenchmarkError: The warm-up failed.
    """
    side = SIDES[waits.side]
    short = Waits(waits.side, waits.warm_up_waits, WARM_UP_INTERVAL)
    if failures := _failures(side, await run_waits(side, short, first_number=waits.waits)):
        msg = f"the first waits of {side.trigger} ended with {', '.join(failures[:SHOWN_FAILURES])}"
        raise BenchmarkError(msg)
    gc.collect()
    await asyncio.to_thread(begin)
    async with LoopWatch() as watch:
        idle_bytes = watch.resident_bytes()
        started, cpu_before = time.monotonic(), time.process_time()
        ends = await run_waits(side, waits)
        cpu_seconds, seconds = time.process_time() - cpu_before, time.monotonic() - started
    failures = _failures(side, ends)
    return Outcome(
        ended_right=len(ends) - len(failures),
        failures=failures[:SHOWN_FAILURES],
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        idle_bytes=idle_bytes,
        peak_bytes=watch.peak_bytes,
        latest_seconds=watch.latest_seconds,
    )


def _failures(side: Side, ends: Sequence[list[Any] | BaseException]) -> list[str]:
    return [repr(end) for end in ends if not (isinstance(end, list) and len(end) == 1 and side.is_right(end[0]))]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Say when the warm-up is over, wait for a word to begin, and say what was seen.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.waiting_process", description=__doc__)
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--waits", type=int, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--starts-per-second", type=int, default=0)
    parser.add_argument("--warm-up-waits", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True, help="where the triggers' log goes")
    arguments = parser.parse_args(argv)
    channel = open_channel()
    allow_many_connections()
    waits = Waits(
        arguments.side,
        arguments.waits,
        arguments.interval,
        starts_per_second=arguments.starts_per_second,
        warm_up_waits=arguments.warm_up_waits,
    )

    def begin() -> None:
        say(channel, {"ready": True})
        hear()
        end_with_the_starter()

    with arguments.log.open("wb", buffering=0) as log:
        _log_as_the_triggerer(log)
        outcome = asyncio.run(measure(waits, begin))
        # What is collected at the very end may still have something to say.
        logging.shutdown()
        say(channel, asdict(outcome))
    return 0


def _log_as_the_triggerer(log: Any) -> None:
    from airflow.sdk.log import configure_logging, reset_logging  # noqa: PLC0415 - Airflow reads its home when imported

    reset_logging()  # type: ignore[no-untyped-call]  # Airflow's function is not typed
    configure_logging(json_output=True, output=log, sending_to_supervisor=True)


if __name__ == "__main__":
    sys.exit(main())
