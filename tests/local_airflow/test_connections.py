# SPDX-License-Identifier: Apache-2.0
"""The connections of a local Airflow whose processes share one budget."""

from __future__ import annotations

import json

from dev.local_airflow.connections import with_shared_budget

URL = "redis://:word@127.0.0.1:6379/0"


def test_each_connection_to_alchemy_gets_the_redis_and_keeps_the_rest() -> None:
    connections = {
        "alchemy_default": json.dumps({"conn_type": "alchemy", "password": "key", "extra": {"network": "eth-sepolia"}}),
        "bare": '{"conn_type": "alchemy"}',
        "other": '{"conn_type": "http", "host": "example.com"}',
        "uri": "http://example.com",
    }

    changed = with_shared_budget(connections, URL)

    extra = {"shared_budget": URL, "network": "eth-sepolia"}
    assert json.loads(changed["alchemy_default"]) == {"conn_type": "alchemy", "password": "key", "extra": extra}
    assert json.loads(changed["bare"]) == {"conn_type": "alchemy", "extra": {"shared_budget": URL}}
    assert {name: changed[name] for name in ("other", "uri")} == {name: connections[name] for name in ("other", "uri")}


def test_one_that_names_a_redis_keeps_it() -> None:
    named = json.dumps({"conn_type": "alchemy", "extra": {"shared_budget": "redis://redis.example.com"}})

    assert json.loads(with_shared_budget({"mine": named}, URL)["mine"]) == json.loads(named)
