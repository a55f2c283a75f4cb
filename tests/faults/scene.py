# SPDX-License-Identifier: Apache-2.0
"""One cell of the matrix while it is tried: a service of its own, a connection to it, and the fault that begins."""

from __future__ import annotations

import base64
import json
import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from tests.faults.catalogue import FAULTS, HITS, Fault, Phase
from tests.tasks.batches import BatchInstance
from tests.tasks.lives import StateStore

LATE_SECONDS = 0.3
"""The connection's ``timeout`` where a call is to end by it."""

GENEROUS_SECONDS = 600.0
"""Any other time limit: a machine that has much to do must not reach it."""

OVER_SECONDS = (2.0, 20.0, 60.0)
"""
The task's time limit where the cell is to end by it.

A cell in which it was over before the fault was met, because the machine stood still, proves nothing: it is tried
again with a longer one.
"""


@dataclass
class Scene:
    """
    One cell while it is tried.

    :param emulator: The service.
    :param fault: What goes wrong with it.
    :param endpoint: Whose calls it hits.
    :param phase: How long it lasts.
    :param conn_id: The connection to the service.
    :param over_seconds: The task's time limit where it is to end by it, else None.
    """

    emulator: AlchemyEmulator
    fault: Fault
    endpoint: str
    phase: Phase
    conn_id: str
    over_seconds: float | None
    ti: BatchInstance = field(default_factory=BatchInstance)
    store: StateStore = field(default_factory=StateStore)
    shown: list[str] = field(default_factory=list)
    _calls_before: int | None = None

    @property
    def stays(self) -> bool:
        """Whether the fault stays."""
        return self.phase is Phase.STAYS

    @property
    def timeout(self) -> float:
        """How long a task may wait, in seconds."""
        return 2 * GENEROUS_SECONDS if self.over_seconds is None else self.over_seconds

    @property
    def failures(self) -> int:
        """How many failures in a row a task allows: few where it is to end by them, else more than a slow machine."""
        return 1 if self.stays and self.over_seconds is None else 50

    @property
    def context(self) -> dict[str, Any]:
        """The context of a task's process; what it keeps outlives it."""
        return {"ti": self.ti, "task_reschedule_count": 0, "task_state_store": self.store}

    @property
    def has_begun(self) -> bool:
        """Whether the fault has begun."""
        return self._calls_before is not None

    @property
    def asked(self) -> int:
        """How many calls there were since the fault began that it could hit."""
        return 0 if self._calls_before is None else self.emulator.count(self.endpoint) - self._calls_before

    @property
    def seconds_of_calls(self) -> float:
        """The time from the first of those calls to the last, as the service saw it."""
        times = [call.at for call in self.emulator.calls if call.endpoint == self.endpoint][self._calls_before :]
        return times[-1] - times[0] if times else 0.0

    def begin(self) -> None:
        """Let the fault begin."""
        self._calls_before = self.emulator.count(self.endpoint)
        times = None if self.stays else HITS
        self.emulator.add_fault(**self.fault.arguments(self.emulator.api_key), endpoint=self.endpoint, times=times)

    def show(self, *values: object) -> None:
        """Note what people, or the database, get to see of the cell."""
        self.shown += [value if isinstance(value, str) else json.dumps(value) for value in values]

    def show_error(self, error: BaseException) -> None:
        """Note an exception with all that lies behind it."""
        self.show(repr(error), repr(error.args), "".join(traceback.format_exception(error)))
        behind = [link for link in (error.__cause__, error.__context__) if link is not None]
        for link in behind:
            self.show(repr(link), str(link), repr(link.args))


@contextmanager
def open_scene(fault: Fault, endpoint: str, phase: Phase, over_seconds: float | None) -> Iterator[Scene]:
    """
    Open a scene: a service of its own and a connection to it.

    :param fault: What is to go wrong.
    :param endpoint: Whose calls it is to hit.
    :param phase: How long it is to last.
    :param over_seconds: The task's time limit where it is to end by it, else None.
    """
    # One for each fault, so that a key that is shown tells where; not one for each cell, because Airflow looks for
    # every key that it ever saw in whatever it logs. Its forms differ where a URL or a header needs quoting.
    number = FAULTS.index(fault)
    key = f"fault{number:02d}+key=%&@{number:02d}~"
    conn_id = f"fault_{number:02d}"
    with AlchemyEmulator(api_keys=[key], units_per_second=None, block_seconds=None) as emulator:
        connection = connection_json(
            emulator,
            compute_units_per_second=1_000_000,
            timeout=GENEROUS_SECONDS if over_seconds is None and not fault.is_late else LATE_SECONDS,
            max_attempts=2 if phase is Phase.STAYS else 20,
        )
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        os.environ[variable] = connection
        try:
            yield Scene(emulator, fault, endpoint, phase, conn_id, over_seconds)
        finally:
            del os.environ[variable]


def forms(key: str) -> set[str]:
    """Give the forms in which a text may show a key."""
    return {key, quote(key), quote(key, safe=""), quote_plus(key), base64.b64encode(key.encode()).decode()}


def leaks(key: str, texts: Iterable[str]) -> list[str]:
    """Give the texts that show a key, cut to their place of it."""
    return [
        text[max(0, text.index(form) - 80) :][:200].replace(form, "<KEY>")
        for text in texts
        for form in forms(key)
        if form in text
    ]
