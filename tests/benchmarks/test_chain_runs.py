# SPDX-License-Identifier: Apache-2.0
"""What the chain's benchmark reads of what it has measured, and what it watches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_alchemy.api.inputs import read_contract_address, read_network
from dev.benchmarks.chain_plan import ALONE, CATCH_UP, CROWD, LATENCY, ONE, CatchUpSide, contracts_of, network_of
from dev.benchmarks.chain_runs import run_starts, samples_between

SIDES = (LATENCY, ONE, CROWD, ALONE, CATCH_UP)


def asset_event(*event_ids: str, starts: tuple[str | None, ...]) -> dict[str, Any]:
    return {
        "timestamp": "1970-01-01T00:01:00Z",
        "extra": {"payload": {"event_ids": list(event_ids)}},
        "created_dagruns": [{"start_date": start} for start in starts],
    }


def test_a_run_that_an_event_started_is_timed_from_its_start() -> None:
    moments = run_starts([asset_event("a", "b", starts=("1970-01-01T00:01:05Z", "1970-01-01T00:01:02Z"))])

    assert moments == {"a": (60.0, 62.0), "b": (60.0, 62.0)}


def test_an_event_whose_run_has_not_begun_is_not_there_yet() -> None:
    assert run_starts([asset_event("a", starts=()), asset_event("b", starts=(None,))]) == {}


def test_only_what_the_loop_told_meanwhile_counts(tmp_path: Path) -> None:
    file = tmp_path / "loop.jsonl"
    file.write_text("".join(json.dumps({"at": at}) + "\n" for at in (1, 2, 3, 4)), encoding="utf-8")

    assert samples_between(file, 1, 3) == [{"at": 2}, {"at": 3}]


@pytest.mark.parametrize("refusal", ["hint", "plain"])
def test_a_connection_names_what_its_api_refuses(refusal: str) -> None:
    side = CatchUpSide(10, refusal)

    assert CatchUpSide.named(side.conn_id) == side


def test_no_two_watchers_have_a_contract_or_a_chain_in_common() -> None:
    contracts = [contract for side in SIDES for watcher in range(20) for contract in contracts_of(side, watcher, 5)]
    networks = [network_of(side, number) for side in SIDES for number in range(3)]

    assert len(set(contracts)) == len(contracts)
    assert len(set(networks)) == len(networks)
    assert [read_contract_address(contract, "contract") for contract in contracts] == contracts
    assert [read_network(network) for network in networks] == networks
