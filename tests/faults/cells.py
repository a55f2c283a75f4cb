# SPDX-License-Identifier: Apache-2.0
"""Trying the cells of a column, several at a time: most of their time is waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests.faults.catalogue import FAULTS, HITS, Fault, Phase, Turn
from tests.faults.expectations import OK, TOLD_LATER, WATCHER
from tests.faults.scene import OVER_SECONDS, Scene, leaks, open_scene
from tests.faults.subjects import Subject

AT_ONCE = 8
"""Cells that are tried at once."""


@dataclass(frozen=True)
class Cell:
    """
    A cell of the matrix that was tried.

    :param fault: The fault's name.
    :param subject: The subject's name.
    :param phase: How long the fault lasted.
    :param expected: What it had to show.
    :param shown: What it showed.
    :param trouble: What else was wrong; empty: nothing.
    """

    fault: str
    subject: str
    phase: str
    expected: str
    shown: str
    trouble: str = ""

    @property
    def is_expected(self) -> bool:
        """Whether the cell shows what it must."""
        return self.shown == self.expected and not self.trouble

    def tell(self) -> str:
        """Say what is wrong with it."""
        seen = f"expected {self.expected!r}, was {self.shown!r}"
        return f"{self.fault} ({self.phase}) x {self.subject}: {seen}{self.trouble and '; ' + self.trouble}"

    def to_dict(self) -> dict[str, Any]:
        """Give the cell as JSON values, for the way from a worker of pytest-xdist."""
        return asdict(self)


class Lines(logging.Handler):
    """Keeps what is logged, by whatever logger and in whatever thread."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with the exception that it shows."""
        self._lines.append(self.format(record))

    def with_word(self, word: str) -> list[str]:
        """Give the lines that hold a word."""
        return [line for line in tuple(self._lines) if word in line]

    def text(self) -> str:
        """Give all of them."""
        return "\n".join(self._lines)


def cells_of(subject: Subject, phase: Phase, lines: Lines, printed: Callable[[], str]) -> list[Cell]:
    """
    Try a column.

    :param subject: The column.
    :param phase: How long its faults last.
    :param lines: What is logged meanwhile.
    :param printed: Gives what was printed meanwhile, where Airflow's tasks log.
    :return: Its cells.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        tried = list(threads.map(lambda pair: _try(subject, phase, *pair, lines=lines), _expected(subject, phase)))
    logged = lines.text() + printed()
    return [_without_key(cell, key, [logged]) for cell, key in tried]


def _expected(subject: Subject, phase: Phase) -> Iterator[tuple[Fault, str]]:
    for fault in FAULTS:
        end = subject.habit.end(fault, subject.endpoint, phase)
        if end is not None:
            yield fault, end


def _try(subject: Subject, phase: Phase, fault: Fault, expected: str, *, lines: Lines) -> tuple[Cell, str]:
    ends_by_time = "Deadline" in expected or "timeout" in expected
    for over_seconds in OVER_SECONDS if ends_by_time else (None,):
        cell, key, was_met = _try_once(subject, phase, fault, expected, over_seconds, lines)
        if was_met:
            break
    return cell, key


def _try_once(
    subject: Subject, phase: Phase, fault: Fault, expected: str, over_seconds: float | None, lines: Lines
) -> tuple[Cell, str, bool]:
    with open_scene(fault, subject.endpoint, phase, over_seconds) as scene:
        try:
            shown = subject.run(scene)
        except Exception as error:  # noqa: BLE001 - one cell that breaks must not hide the others
            scene.show_error(error)
            shown = f"{type(error).__name__}: {error}"
        if subject.habit is WATCHER:
            shown = _with_complaints(shown, scene, lines)
        cell = Cell(fault.name, subject.name, phase.value, expected, shown, _trouble(subject, scene, shown))
        key = scene.emulator.api_key
        return _without_key(cell, key, scene.shown), key, scene.asked > 0


def _with_complaints(shown: str, scene: Scene, lines: Lines) -> str:
    """Say of a watcher how often it told what is wrong: once is enough, and may be too much where it passes."""
    complaints = sum("is held up" in line for line in lines.with_word(f"{scene.conn_id!r}"))
    if shown != OK or complaints == 0 or (complaints == 1 and not scene.stays):
        return shown
    return TOLD_LATER if complaints == 1 else f"{TOLD_LATER}, told {complaints} times"


def _trouble(subject: Subject, scene: Scene, shown: str) -> str:
    """Make sure that the fault was met: a cell must not show what is expected for want of a call."""
    if not subject.asks:
        return "" if scene.asked == 0 else f"it made {scene.asked} calls"
    must_wait = shown == OK and not scene.stays and scene.fault.turn is Turn.OURS
    least = HITS + 1 if must_wait else 1
    if scene.asked < least:
        return f"the fault was met by {scene.asked} calls, not {least}"
    # A lower limit only: how much longer a machine takes says nothing.
    asked_to_wait = scene.fault.fields.get("retry_after", 0.0) if must_wait else 0.0
    is_early = scene.seconds_of_calls < asked_to_wait
    return f"Retry-After was {asked_to_wait:g} s, and all was over after {scene.seconds_of_calls:.2f} s" * is_early


def _without_key(cell: Cell, key: str, texts: list[str]) -> Cell:
    found = leaks(key, texts)
    return replace(cell, trouble=f"{cell.trouble} the key is shown: {found[0]}".strip()) if found else cell
