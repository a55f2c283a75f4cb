# SPDX-License-Identifier: Apache-2.0
"""What a test or a demonstration does to the processes of a local Airflow, and asks about them."""

from __future__ import annotations

import signal
from abc import abstractmethod
from typing import TYPE_CHECKING

from dev.local_airflow.ending import SERVERS
from dev.local_airflow.processes import marked_processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from dev.local_airflow.components import Components


class ComponentSteering:
    """The part of a local Airflow that sends signals."""

    _components: Components

    @abstractmethod
    def _wait_for(self, started: Mapping[str, datetime]) -> None:
        """Wait until components are healthy that were started again.

        :param started: Component name to when its process was started.
        """

    @property
    def process_logs(self) -> dict[str, Path]:
        """The files with the standard output and error of each component."""
        return self._components.output_files

    @property
    def processes(self) -> dict[str, int]:
        """The pid of the first process of each component that runs."""
        return {name: identity.pid for name, identity in self._components.identities.items()}

    def process_tree(self, component: str) -> set[int]:
        """Find the pids of a component with everything it started; none where there is no ``/proc``.

        :param component: A name in ``processes``.
        :returns: The pids.
        """
        return {process.pid for process in marked_processes(self._components.instance_id, component)}

    def kill(self, component: str, to_send: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a component and everything it started; an ending signal is waited for.

        :param component: A name in ``processes``.
        :param to_send: The signal; SIGKILL, since a crash is what a test wants to see survived.
        :raises LocalAirflowError: When the component does not run, or survives.
        """
        self._components.kill(component, to_send)

    def start(self, component: str) -> None:
        """Start a component again, and wait until it is healthy.

        :param component: A name that ``processes`` had.
        :raises LocalAirflowError: When it runs already, or does not become healthy.
        """
        self.start_all([component])

    def start_all(self, names: Iterable[str]) -> None:
        """Start several components again, side by side, and wait until all are healthy.

        :param names: Names that ``processes`` had. Servers come first: nothing of Airflow gets healthy without them.
        :raises LocalAirflowError: When one runs already, or does not become healthy.
        """
        wanted = list(names)
        for is_server in (True, False):
            together = [name for name in wanted if (name in SERVERS) is is_server]
            self._wait_for({name: self._components.start(name) for name in together})

    def ended_by_themselves(self) -> list[str]:
        """List the components that ended without being told to, as some do when their database is gone.

        :returns: Their names, for whoever starts them again as a supervisor of services would.
        """
        return self._components.dead()
