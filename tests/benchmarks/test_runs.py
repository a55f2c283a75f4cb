# SPDX-License-Identifier: Apache-2.0
"""Tiny runs of the benchmarks that start processes: all waits end, and tables can be made of what they give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev.benchmarks import budget, polls, shared_budget

pytestmark = [pytest.mark.integration, pytest.mark.dag_run]

NEEDED = {
    "http": "airflow.providers.http",
    "dbt_cloud": "airflow.providers.dbt.cloud",
    "alchemy": "airflow_provider_alchemy",
}


@pytest.mark.parametrize("side", NEEDED)
def test_all_waits_of_each_side_end_and_are_counted(side: str) -> None:
    pytest.importorskip(NEEDED[side])
    scenario = polls.Scenario(waits=5, seconds=0.5, interval=0.2, rounds=1, sides=(side,))

    figures = polls.measure([scenario])

    (measurement,) = figures["scenarios"][0]["measurements"]
    assert measurement["outcome"]["ended_right"] == 5
    assert measurement["outcome"]["failures"] == []
    assert measurement["polls"] >= 10
    assert 1 <= measurement["connections"] <= measurement["polls"]
    (table,) = polls.tables(json.loads(json.dumps(figures)))
    assert "5 waits of 0.5 s, polled every 0.2 s over TLS" in table.text()
    assert len(table.rows) == 1


def test_all_waits_within_a_budget_end_and_nothing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"

    options = ["--contracts", "5", "--seconds", "0.5", "--interval", "0.2", "--units-per-second", "3000"]
    assert budget.main([*options, "--json", str(file)]) == 0

    figures = json.loads(file.read_text(encoding="utf-8"))
    measurement = figures["budget"]["measurement"]
    assert measurement["outcome"]["ended_right"] == 5
    assert len(measurement["seen_after_seconds"]) == 5
    assert measurement["calls"] >= 10
    assert measurement["refused"] == 0
    assert measurement["used_share"] > 0
    assert "5 collections of 0.5 s" in budget.tables(figures["budget"])[0].text()


def test_all_waits_of_processes_that_share_a_budget_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_budget, "RECOVERY_SECONDS", 1.0)
    plan = shared_budget.Plan(2, 1, seconds=1, interval=0.2, killed_after=0.5, killed_for=0.5)

    figures = json.loads(json.dumps(shared_budget.measure(plan)))

    assert [run["ended_right"] for run in figures["measurements"]] == [8, 8, 8]
    assert all(run["calls"] >= 16 for run in figures["measurements"])
    (table,) = shared_budget.tables(figures)
    assert [row[0] for row in table.rows] == ["each its own", "shared", "shared, Redis killed for 0.5 s"]
