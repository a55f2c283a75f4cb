# SPDX-License-Identifier: Apache-2.0
"""Users' unit tests call ``execute`` themselves, with hardly any context, or with a mock as the task instance."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.tasks.lives import ADDRESS
from tests.tasks.outlets import ALL_KINDS, Build

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("context", [{}, {"ti": MagicMock()}, {"ti": None}], ids=["empty", "mock", "none"])
@pytest.mark.parametrize("build", [ALL_KINDS[kind] for kind in ALL_KINDS if kind != "batch"])
def test_execute_works_and_does_not_warn_of_airflows_version(
    build: Build, context: dict[str, Any], emulator: AlchemyEmulator, task_log: TaskLog
) -> None:
    emulator.set_default_job(running_seconds=0)
    emulator.set_collection(ADDRESS, tokens=10)

    result = build().execute(context)

    assert result["network"] == "eth-mainnet"
    assert "Airflow keeps nothing" not in task_log()
