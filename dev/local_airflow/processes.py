# SPDX-License-Identifier: Apache-2.0
"""Starting processes, and finding and ending them with everything they started.

It exists because an Airflow component is a tree: LocalExecutor workers, task runners in process groups
of their own, the triggerer's runner. A process group is therefore not enough. Every process carries a
mark in its environment, which its children inherit, and ``/proc`` tells who carries it; where there is no
``/proc`` the process group is what can be had.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MARK = "LOCAL_AIRFLOW_PROCESS"
PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "environ").exists()
TERM_SECONDS = 5.0
KILL_SECONDS = 30.0
LOOK_SECONDS = 0.05
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
TIMES = slice(11, 15)
"""Where ``/proc/PID/stat`` has, after the command's name: utime, stime, cutime and cstime."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart from a later one with the same number by when it started.

    :param pid: Its number.
    :param started: When it started, in the words of the system it runs on; only compared.
    """

    pid: int
    started: str


@dataclass(frozen=True)
class _Status:
    identity: ProcessIdentity
    parent: int


def mark_of(instance_id: str, component: str) -> str:
    """Make the value of the mark of one component.

    :param instance_id: Which local Airflow.
    :param component: Which of its components.
    :returns: The value of the environment variable ``MARK``.
    """
    return f"{instance_id}:{component}"


def identity_of(pid: int) -> ProcessIdentity | None:
    """Identify a running process.

    :param pid: Its number.
    :returns: Its identity, or None when there is no such process (one that only waits to be reaped is none).
    """
    if HAS_PROC:
        status = _status(pid)
        return status.identity if status else None
    asked = subprocess.run(  # noqa: S603 - the only argument from outside is a number
        ["ps", "-o", "state=,lstart=", "-p", str(pid)],  # noqa: S607 - ps is where the system keeps it
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else ProcessIdentity(pid, started.strip())


def cpu_seconds(pids: Iterable[int]) -> float:
    """Add up the CPU time of processes, each with that of the children it has waited for.

    :param pids: Their numbers; one that has ended counts nothing.
    :returns: Seconds; 0 where there is no ``/proc``.
    """
    return sum(int(ticks) for pid in pids for ticks in _fields(pid)[TIMES]) / TICKS_PER_SECOND


def _fields(pid: int) -> list[str]:
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The command's name stands in brackets and may hold spaces and brackets; fields are counted after it.
    return text.rpartition(")")[2].split()


def _status(pid: int) -> _Status | None:
    fields = _fields(pid)
    if not fields or fields[0] in "ZX":
        return None
    return _Status(identity=ProcessIdentity(pid, fields[19]), parent=int(fields[1]))


def _carries(pid: int, mark: bytes) -> bool:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return any(entry.startswith(mark) for entry in environment.split(b"\0"))


def marked_processes(instance_id: str, component: str | None = None) -> set[ProcessIdentity]:
    """Find the processes of a local Airflow: those that carry its mark, and their descendants.

    :param instance_id: Which local Airflow.
    :param component: Which component; None for all.
    :returns: The processes; empty where there is no ``/proc``.
    """
    if not HAS_PROC:
        return set()
    mark = f"{MARK}={mark_of(instance_id, component or '')}".encode()
    running = {
        status.identity.pid: status
        for status in (_status(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
        if status
    }
    members = {pid for pid in running if _carries(pid, mark)}
    # A task may start a process with an empty environment, which then carries no mark.
    while more := {pid for pid, status in running.items() if status.parent in members} - members:
        members |= more
    members.discard(os.getpid())
    return {running[pid].identity for pid in members}


def living(leaders: Iterable[ProcessIdentity], instance_id: str, component: str | None) -> set[ProcessIdentity]:
    """Find what still runs of some components.

    :param leaders: The processes that were started for them.
    :param instance_id: Which local Airflow.
    :param component: Which component; None for all.
    :returns: Running processes, each of them verified to be ours.
    """
    still = {leader for leader in leaders if identity_of(leader.pid) == leader}
    return still | marked_processes(instance_id, component)


def send(processes: Iterable[ProcessIdentity], to_send: signal.Signals) -> None:
    """Send a signal to processes, as long as they are the ones meant.

    :param processes: To whom; without ``/proc`` the process group of each one is sent the signal.
    :param to_send: The signal.
    """
    for process in processes:
        if identity_of(process.pid) != process:
            continue
        try:
            if HAS_PROC:
                os.kill(process.pid, to_send)
            else:
                os.killpg(process.pid, to_send)
        except (ProcessLookupError, PermissionError):
            # It ended by itself in between, which is what was wanted.
            continue


def end_all(
    find: Callable[[], set[ProcessIdentity]],
    *,
    ask: Callable[[], None] | None = None,
    term_seconds: float = TERM_SECONDS,
    kill_seconds: float = KILL_SECONDS,
) -> set[ProcessIdentity]:
    """End processes: asked first, forced after a while, until none is found any more.

    :param find: Looks for the processes that still run; called again and again, as they may start others.
    :param ask: Asks them to end; None for SIGTERM to each.
    :param term_seconds: Seconds they have after that; 0 for SIGKILL at once. Only those that are slept here count.
    :param kill_seconds: Seconds to wait for them to be gone after SIGKILL.
    :returns: What is left after all this; empty if all went well.
    """
    if term_seconds > 0:
        if ask:
            ask()
        else:
            send(find(), signal.SIGTERM)
        if not _gone(find, term_seconds, signal_again=None):
            return _gone_after_kill(find, kill_seconds)
        return set()
    return _gone_after_kill(find, kill_seconds)


def _gone_after_kill(find: Callable[[], set[ProcessIdentity]], seconds: float) -> set[ProcessIdentity]:
    _hold(find)
    return set() if _gone(find, seconds, signal_again=signal.SIGKILL) else find()


def _hold(find: Callable[[], set[ProcessIdentity]]) -> None:
    # A process that starts another between the look and its own end would leave one behind that nobody finds: without
    # a parent, and perhaps without a mark. One that is stopped starts nothing.
    held: set[ProcessIdentity] = set()
    while new := find() - held:
        send(new, signal.SIGSTOP)
        held |= new


def _gone(find: Callable[[], set[ProcessIdentity]], seconds: float, *, signal_again: signal.Signals | None) -> bool:
    slept = 0.0
    while found := find():
        if signal_again is not None:
            send(found, signal_again)
        if slept >= seconds:
            return False
        time.sleep(LOOK_SECONDS)
        slept += LOOK_SECONDS
    return True
