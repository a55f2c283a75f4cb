# SPDX-License-Identifier: Apache-2.0
"""Every fault of the emulator against every operator, sensor mode and trigger: each ends as documented."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_alchemy.testing.faults import FaultKind
from tests.faults.catalogue import FAULTS, Phase
from tests.faults.cells import Cell, Lines, cells_of
from tests.faults.subjects import SUBJECTS, Subject
from tests.faults.summary import PROPERTY

pytestmark = [pytest.mark.integration, pytest.mark.slow]

each_phase = pytest.mark.parametrize("phase", list(Phase), ids=str)


@each_phase
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name.replace(" ", "_").replace(",", ""))
@pytest.mark.usefixtures("short_pauses")
def test_each_fault_ends_as_documented_and_shows_no_key(
    subject: Subject,
    phase: Phase,
    lines: Lines,
    printed: Callable[[], str],
    record_property: Callable[[str, object], None],
) -> None:
    cells = cells_of(subject, phase, lines, printed)

    record_property(PROPERTY, [_told(cell) for cell in cells])
    wrong = [cell.tell() for cell in cells if not cell.is_expected]
    assert not wrong, "\n".join(wrong)


def test_no_fault_of_the_emulator_is_left_out() -> None:
    assert {fault.fields["kind"] for fault in FAULTS} == {kind.value for kind in FaultKind}


def _told(cell: Cell) -> dict[str, object]:
    return {**cell.to_dict(), "is_expected": cell.is_expected, "told": cell.tell()}
