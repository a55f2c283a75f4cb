# SPDX-License-Identifier: Apache-2.0
"""
One task that refreshes a collection's tokens, in a process of its own, as a worker has it.

The operator and all that its module needs is imported before; everything that ``execute`` does counts, down to the
reading of the connection and of the authorities. The log is at WARNING. There is no store, as on Airflow before 3.3:
what keeping costs is a matter of Airflow's database, and seen in a whole Airflow only.
"""

from __future__ import annotations

import argparse
import cProfile
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dev.benchmarks.children import hear, open_channel, say
from dev.benchmarks.errors import BenchmarkError

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Refresh:
    """
    What is to be refreshed.

    :param address: The collection's contract.
    :param tokens: How many tokens it has.
    :param is_listed: Whether the collection is listed; else the ids are given.
    """

    address: str
    tokens: int
    is_listed: bool


@dataclass(frozen=True)
class Outcome:
    """
    What the process has seen.

    :param refreshed: Tokens that are proven fresh.
    :param seconds: How long ``execute`` took.
    :param cpu_seconds: CPU time of the process meanwhile.
    :param idle_bytes: Its resident memory just before.
    :param peak_bytes: The largest one of its life.
    """

    refreshed: int
    seconds: float
    cpu_seconds: float
    idle_bytes: int
    peak_bytes: int


def refresh(what: Refresh, profile: cProfile.Profile | None = None) -> Outcome:
    """
    Run the task.

    :param what: What is to be refreshed.
    :param profile: Collects where the time goes; default: nobody does, because that takes time as well.
    :return: What was seen.
    """
    from airflow_provider_alchemy.operators.collection import (  # noqa: PLC0415 - Airflow reads its home when imported
        RefreshCollectionOperator,
    )

    ids = None if what.is_listed else range(what.tokens)
    operator = RefreshCollectionOperator(task_id="refresh", contract_address=what.address, token_ids=ids)
    # A worker gets its arguments as lists.
    operator.token_ids = None if ids is None else list(ids)
    task_instance = SimpleNamespace(try_number=1, max_tries=0, map_index=-1)
    context: dict[str, Any] = {"ti": task_instance, "task_reschedule_count": 0}
    idle_bytes = _memory("VmRSS")
    started, cpu_before = time.monotonic(), time.process_time()
    if profile is not None:
        profile.enable()
    result = operator.execute(context)
    if profile is not None:
        profile.disable()
    cpu_seconds, seconds = time.process_time() - cpu_before, time.monotonic() - started
    return Outcome(result["counts"]["refreshed"], seconds, cpu_seconds, idle_bytes, _memory("VmHWM"))


def _memory(name: str) -> int:
    # Not getrusage where there is /proc: its peak counts the starter's memory too, from before this program began.
    if not STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        field, _, value = line.partition(":")
        if field == name:
            return int(value.split()[0]) * 1024
    msg = f"{STATUS} has no field {name}"
    raise BenchmarkError(msg)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Say when all is imported, wait for a word to begin, and say what was seen.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.refreshing_process", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--listed", action="store_true", help="list the collection; default: its ids are given")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write where the time goes to this file")
    arguments = parser.parse_args(argv)
    channel = open_channel()
    import airflow_provider_alchemy.operators.collection  # noqa: F401, PLC0415 - see above

    say(channel, {"ready": True})
    hear()
    profile = cProfile.Profile() if arguments.profile else None
    outcome = refresh(Refresh(arguments.address, arguments.tokens, arguments.listed), profile)
    if profile is not None:
        profile.dump_stats(arguments.profile)
    say(channel, asdict(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
