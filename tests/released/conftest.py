# SPDX-License-Identifier: Apache-2.0
"""What the tests of upgrades share."""

from __future__ import annotations

import pytest

from tests.released import playing
from tests.tasks.batches import Variables


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Airflow's Variables, for triggers that take themselves for Airflow 3.3's."""
    return playing.variables_in(monkeypatch)
