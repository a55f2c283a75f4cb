# SPDX-License-Identifier: Apache-2.0
"""The processes of one local Airflow: started with its environment and its mark, ended with their children.

It exists so that what is a process (this module) and what Airflow says about itself (the REST interface)
stay apart: a component that died cannot be asked.
"""

from __future__ import annotations

import math
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dev.local_airflow.command_lines import AIRFLOW
from dev.local_airflow.ending import SERVERS, end_instance
from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.processes import (
    MARK,
    ProcessIdentity,
    cpu_seconds,
    end_all,
    identity_of,
    living,
    mark_of,
    marked_processes,
    send,
)
from dev.local_airflow.waiting import wait_until
from dev.local_airflow.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Signals after which a process is expected to be gone.
ENDING_SIGNALS = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGHUP}
)
LAST_LINES = 25
AGAIN_SECONDS = 15.0
START_CPU_SECONDS = 120.0
"""More CPU time than any start takes: what used more does not get on."""


class Components:
    """What runs, by component.

    :param instance_id: Which local Airflow; the mark of its processes.
    :param environment: The whole environment of its processes, without the mark.
    :param working_folder: Where they run, so that what they drop falls into the throwaway home.
    :param output_folder: Where their standard output and error go, one file for each.
    :param commands: The command lines by name: Airflow's own, and those of its servers.
    """

    def __init__(
        self,
        *,
        instance_id: str,
        environment: Mapping[str, str],
        working_folder: Path,
        output_folder: Path,
        commands: Mapping[str, Sequence[str]],
    ) -> None:
        self.instance_id = instance_id
        self._commands = dict(commands)
        self._environment = environment
        self._working_folder = working_folder
        self._output_folder = output_folder
        self._watchdog: Watchdog | None = None
        self._current: dict[str, subprocess.Popen[bytes]] = {}
        self._identities: dict[str, ProcessIdentity] = {}

    def watch(self) -> None:
        """Have everything that is started from now on ended even if this process dies."""
        self._watchdog = Watchdog(self.instance_id)

    def leave_running(self) -> None:
        """Let what runs outlive this process."""
        if self._watchdog:
            self._watchdog.release()
            self._watchdog = None

    @property
    def identities(self) -> dict[str, ProcessIdentity]:
        """The first process of each component that was started and runs."""
        return {
            name: identity
            for name, identity in self._identities.items()
            if name in self._commands and self._current[name].poll() is None
        }

    @property
    def output_files(self) -> dict[str, Path]:
        """Where the standard output and error of each component go."""
        return {name: self.output_file(name) for name in self._commands}

    def output_file(self, name: str) -> Path:
        """Say where the standard output and error of a component or command go.

        :param name: Its name.
        :returns: The file, which exists once it was started.
        """
        return self._output_folder / f"{name}.log"

    def last_output(self, name: str) -> str:
        """Read the end of what a component or command wrote.

        :param name: Its name.
        :returns: Its last lines.
        """
        file = self.output_file(name)
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        return "\n".join(text.splitlines()[-LAST_LINES:]) or "(no output)"

    def start(self, name: str) -> datetime:
        """Start a component.

        :param name: One of those that have a command line.
        :returns: When, to tell its heartbeats from those of a predecessor.
        :raises LocalAirflowError: When there is no such component, or it runs already.
        """
        if name not in self._commands:
            msg = f"There is no component {name!r}; there are {', '.join(self._commands)}."
            raise LocalAirflowError(msg)
        if name in self.identities:
            msg = f"The {name} runs already, as process {self._identities[name].pid}."
            raise LocalAirflowError(msg)
        # Where only its first process was killed the others may still run, and would do its work twice.
        end_all(lambda: marked_processes(self.instance_id, name), term_seconds=0)
        now = datetime.now(UTC)
        self._spawn(name, self._commands[name])
        return now

    def run_command(self, name: str, arguments: Sequence[str], *, program: Sequence[str] = AIRFLOW) -> None:
        """Run a command to its end.

        :param name: A name for its output file.
        :param arguments: What follows the program on the command line.
        :param program: How the command line begins; Airflow's by default.
        :raises LocalAirflowError: When it fails or hangs.
        """
        process = self._spawn(name, [*program, *arguments])
        shown = " ".join([Path(program[-1]).name, *arguments])
        wait_until(
            lambda: process.poll() is not None,
            moves=lambda: self.start_effort([name]),
            failure=lambda: f"'{shown}' did not end:\n{self.last_output(name)}\n",
            interval_seconds=0.05,
        )
        if process.returncode:
            msg = f"'{shown}' ended with exit code {process.returncode}. Its last lines:\n{self.last_output(name)}"
            raise LocalAirflowError(msg)

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.output_file(name).open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - a program of our own environment with our own arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self._environment, MARK: mark_of(self.instance_id, name)},
                cwd=self._working_folder,
                start_new_session=True,
            )
        self._current[name] = process
        # One that is gone already has no identity; whoever waits for it finds its exit code.
        identity = identity_of(process.pid)
        if identity:
            self._identities[name] = identity
            if self._watchdog:
                self._watchdog.guard(name, identity)
        return process

    def start_effort(self, names: Iterable[str]) -> int:
        """Read how much components or commands have done for their start, for the guard of a wait.

        :param names: Their names.
        :returns: Seconds of CPU time of their first processes, as far as a start may take them.
        """
        pids = [self._current[name].pid for name in names if name in self._current]
        return int(sum(min(cpu_seconds([pid]), START_CPU_SECONDS) for pid in pids))

    def dead(self) -> list[str]:
        """List the components that ended by themselves.

        :returns: Their names.
        """
        started = [name for name in self._commands if name in self._current]
        return [name for name in started if self._current[name].poll() is not None]

    def fail_if_dead(self, names: Iterable[str]) -> None:
        """Complain about components that ended by themselves.

        :param names: Those that are needed.
        :raises LocalAirflowError: Naming the first one, with its last lines of output.
        """
        for name in sorted({*names}.intersection(self.dead())):
            msg = (
                f"The {name} ended by itself with exit code {self._current[name].returncode}. "
                f"Its last lines:\n{self.last_output(name)}"
            )
            raise LocalAirflowError(msg)

    def kill(self, name: str, to_send: signal.Signals) -> None:
        """Send a signal to a component and everything it started; wait for its end if the signal ends it.

        :param name: The component.
        :param to_send: The signal.
        :raises LocalAirflowError: When the component does not run, or survives.
        """
        if name not in self.identities:
            msg = f"The {name} does not run, so it cannot be sent {to_send.name}."
            raise LocalAirflowError(msg)
        if to_send not in ENDING_SIGNALS:
            send(self._find(name), to_send)
            return
        process = self._current[name]
        if to_send is signal.SIGKILL:
            end_all(lambda: self._find(name), term_seconds=0)
        asked_at = -math.inf

        def has_left() -> bool:
            nonlocal asked_at
            if process.poll() is not None and not self._find(name):
                return True
            # Airflow leaves by an exception out of the signal, and Python loses one that the garbage collector hears.
            if time.monotonic() - asked_at > AGAIN_SECONDS:
                send(self._asked(name), to_send)
                asked_at = time.monotonic()
            return False

        wait_until(
            has_left,
            failure=lambda: f"The {name} survives {to_send.name} as processes {_pids(self._find(name))}",
        )
        del self._current[name], self._identities[name]

    def _asked(self, name: str) -> set[ProcessIdentity]:
        # A server ends its processes itself, in its own order: PostgreSQL's checkpointer, interrupted before it is told
        # to, ends too early, and the server then waits for it for ever.
        return {self._identities[name]} if name in SERVERS else self._find(name)

    def end(self) -> None:
        """End everything, by force if need be, and verify that nothing is left.

        :raises LocalAirflowError: When something is left all the same.
        """
        left = end_instance(self.instance_id, self._identities)
        if left:
            msg = f"Processes {_pids(left)} of the local Airflow survive SIGKILL."
            raise LocalAirflowError(msg)
        for process in self._current.values():
            process.wait()
        self._current.clear()
        self._identities.clear()
        self.leave_running()

    def _find(self, name: str) -> set[ProcessIdentity]:
        return living([self._identities[name]], self.instance_id, name)


def _pids(processes: set[ProcessIdentity]) -> str:
    return ", ".join(str(pid) for pid in sorted(process.pid for process in processes))
