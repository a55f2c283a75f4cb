# SPDX-License-Identifier: Apache-2.0
"""What the page shows of watchers: its DAG is started by them, and an event has the keys of its table."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_alchemy.chain.events import payload_of
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from tests.chain.scenes import NETWORK, log
from tests.docs.pages import page

PAGE = page("howto/chain.md")


BLOCKS = re.findall(r"^( *)```python\n(.*?)^\1```$", PAGE, re.MULTILINE | re.DOTALL)

needs_watchers = pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 knows no watchers of assets")


def names_of(block: int) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(dedent(BLOCKS[block][1]), names)  # noqa: S102 - our own page
    return names


@needs_watchers
def test_its_dag_is_started_by_its_watcher() -> None:
    names = names_of(0)

    (watcher,) = names["ANNOUNCED"].watchers
    assert watcher.trigger is names["trigger"]
    assert isinstance(names["trigger"], MetadataUpdateTrigger)
    assert names["announced"].function.__name__ == "announced"


@needs_watchers
def test_its_dag_for_several_contracts_is_started_by_an_asset_of_each() -> None:
    names = names_of(1)

    started_by = [names["announced_by"](address) for address in names["COLLECTIONS"]]

    assert len({asset.name for asset in started_by}) == len(names["COLLECTIONS"]) > 1
    assert [asset.watchers[0].trigger.contract_addresses for asset in started_by] == [
        [address.lower()] for address in names["COLLECTIONS"]
    ]


def test_its_table_names_each_key_of_an_event() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    shown = [name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]

    assert sorted(shown) == sorted(payload_of(NETWORK, [log()]))
