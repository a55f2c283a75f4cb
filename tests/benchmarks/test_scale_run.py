# SPDX-License-Identifier: Apache-2.0
"""The scale benchmark in its short form: a whole cluster, a few waits on each side."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.benchmarks.scale.measuring import measure
from dev.benchmarks.scale.settings import Scenario
from dev.benchmarks.scale.tables import tables

pytestmark = pytest.mark.e2e

SHORT = Scenario(
    waits=20,
    worker_waits=2,
    dag_size=8,
    xcoms=True,
    job_seconds=30,
    spread_seconds=5,
    capacity=100,
    open_files=1_024,
    rest_seconds=1,
    limit_seconds=3600,
)


def test_a_few_waits_all_end_well_in_a_cluster(tmp_path: Path) -> None:
    figures = measure(SHORT, pictures=tmp_path)
    *_, goals = tables(figures)

    assert [row for row in goals.rows if row[-1] == "no"] == []
    assert figures["sides"]["triggerer"]["waits"] == SHORT.waits
    assert figures["peaks"]["under_way"] > 0
    assert (tmp_path / "scale-20-xcoms.png").exists()
