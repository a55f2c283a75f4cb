# SPDX-License-Identifier: Apache-2.0
"""Steering from another process: the control interface over HTTP, and the client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import RemoteEmulator
from tests.api.servers import answer, http_server

from .conftest import ADDRESS, FIRST, OTHER, SECONDS, Call, Emulator, batch

Control = Callable[..., Any]


@pytest.fixture
def control(emulator: Emulator) -> Control:
    def command(method: str, name: str, payload: object = None) -> Any:
        return requests.request(method, f"{emulator.url}/_emulator/{name}", json=payload, timeout=SECONDS).json()

    return command


@pytest.fixture
def remote(emulator: Emulator) -> Iterator[RemoteEmulator]:
    with RemoteEmulator(emulator.url) as steering:
        yield steering


def test_health_calls_and_counters_can_be_read(control: Control, ask: Call) -> None:
    ask()
    assert control("GET", "health") == {"status": "ok"}
    (call,) = control("GET", "calls")["calls"]
    fields = [call[name] for name in ("endpoint", "auth", "http_status", "state")]
    assert fields == ["reingestContract", "path", 200, "in_progress"]
    assert control("GET", "counters") == {"calls": 1, "compute_units": 480, "throttled": 0, "connections": 4}


def test_each_command_does_what_its_method_does(emulator: Emulator, control: Control, ask: Call) -> None:
    at = {"address": ADDRESS}
    assert control("POST", "jobs", {**at, "outcome": "does_not_exist"}) == {"status": "ok"}
    control("POST", "default_job", {"queued_seconds": 3600})
    assert [ask(address=one).json()["reingestionState"] for one in (ADDRESS, OTHER)] == ["does_not_exist", "queued"]
    control("POST", "collections", {**at, "tokens": 3, "first_id": "0x5"})
    control("POST", "grow", {**at, "tokens": 2})
    control("POST", "tokens", {**at, "token_ids": [5, "6"], "error": "Bad Token URI"})
    nfts = ask("getNFTsForContract").json()["nfts"]
    assert [nft["tokenId"] for nft in nfts] == ["5", "6", "7", "8", "9"]
    assert [nft["raw"]["error"] for nft in nfts] == ["Bad Token URI"] * 2 + [None] * 3
    control("POST", "faults", {"kind": "http", "status": 503})
    assert ask().status_code == 503
    control("DELETE", "faults")
    assert ask().status_code == 200
    switches = control("POST", "settings", {"units_per_second": 5, "after_finished": "restart"})
    assert (switches["units_per_second"], switches["after_finished"]) == (5, "restart")
    assert emulator.settings.units_per_second == 5


@pytest.mark.parametrize(
    ("name", "payload", "number"),
    [
        ("reveal", {"token_ids": [1, "0x2"]}, 2),
        ("reveal_batch", {"first_id": 1, "last_id": str(2**256 - 1)}, 1),
        ("announce_uri", {"token_id": 1, "uri": "ipfs://x"}, 1),
        ("announce_uri", {"token_id": 1}, 1),
        ("mint", {"token_ids": [1, 2, 3], "to": ADDRESS}, 3),
        ("transfer", {"token_id": 1, "sender": ADDRESS}, 1),
        ("log", {"topics": [], "data": "0x12"}, 1),
    ],
)
def test_each_announcement_mines_a_block_and_is_answered_with_its_logs(
    emulator: Emulator, control: Control, name: str, payload: dict[str, object], number: int
) -> None:
    done = control("POST", name, {"address": ADDRESS, "network": "base-mainnet", **payload})
    made = emulator.chain_logs(network="base-mainnet")
    assert done["newest_block"] == FIRST + 1
    assert [log["id"] for log in done["logs"]] == [log.id for log in made]
    assert len(made) == number
    first = done["logs"][0]
    assert (first["contract_address"], first["block_number"], first["log_index"]) == (ADDRESS.lower(), FIRST + 1, 0)
    assert (first["transaction_hash"], first["topics"]) == (made[0].transaction_hash, [*made[0].topics])


def test_blocks_are_mined_replaced_read_and_forgotten(control: Control) -> None:
    assert control("POST", "mine_blocks") == {"newest_block": FIRST + 1, "logs": []}
    control("POST", "reveal", {"address": ADDRESS, "token_ids": [1]})
    assert control("POST", "mine_blocks", {"blocks": 3})["newest_block"] == FIRST + 5
    assert len(control("POST", "reorganise", {"depth": 4, "keep_logs": True})["logs"]) == 1
    assert len(control("GET", "chain")["logs"]) == 1
    assert control("GET", "chain?network=base-mainnet") == {"newest_block": FIRST, "logs": []}
    assert control("POST", "reorganise", {"depth": 4}) == {"newest_block": FIRST + 5, "logs": []}
    control("POST", "reset")
    assert control("GET", "chain") == {"newest_block": FIRST, "logs": []}


@pytest.mark.parametrize(
    ("method", "name", "payload", "sentence"),
    [
        ("POST", "jobs", {"address": ADDRESS, "running": 5}, "running is not a field here"),
        ("POST", "tokens", {"address": ADDRESS}, "token_ids is missing"),
        ("POST", "settings", {"api_keys": ["new"]}, "api_keys is not a field here"),
        ("POST", "settings", {"self": 1}, "self is not a field here"),
        ("POST", "reorganise", {"depth": 10**9}, "depth must be at most"),
        ("POST", "jobs", ["address"], "The body must be a JSON object"),
        ("GET", "chain?net=base-mainnet", None, "net is not a field here"),
        ("GET", "keys", None, "There is no such command; there are: POST /_emulator/settings"),
    ],
)
def test_wrong_input_is_refused_with_a_sentence_that_names_it(
    control: Control, method: str, name: str, payload: object, sentence: str
) -> None:
    assert sentence in control(method, name, payload)["error"]["message"]


def test_no_answer_holds_a_key_and_a_body_must_be_json(emulator: Emulator, control: Control, ask: Call) -> None:
    assert requests.post(f"{emulator.url}/_emulator/jobs", data=b"{", timeout=SECONDS).status_code == 400
    ask()
    answers = [control("GET", name) for name in ("health", "calls", "counters", "chain")]
    assert emulator.api_key not in repr([*answers, control("POST", "settings", {})])


class TestARemoteEmulator:
    def test_does_what_it_is_asked_for_and_answers(self, remote: RemoteEmulator, ask: Call) -> None:
        remote.post("jobs", address=ADDRESS, outcome="does_not_exist")
        assert ask().json()["reingestionState"] == "does_not_exist"
        assert remote.get("counters")["calls"] == 1
        remote.post("faults", kind="http", status=503)
        assert ask().status_code == 503
        remote.clear_faults()
        assert ask().status_code == 200

    def test_gives_the_calls_as_the_emulator_itself_does(
        self, emulator: Emulator, remote: RemoteEmulator, ask: Call, rpc: Call
    ) -> None:
        ask()
        ask("getNFTMetadataBatch", body=batch(1, 2**200, refreshCache=True))
        rpc("eth_getLogs", {"fromBlock": "0x1", "toBlock": "0x2", "address": ADDRESS})
        assert remote.calls == emulator.calls
        assert (remote.calls[1].token_ids, remote.calls[2].blocks) == ((1, 2**200), (1, 2))
        # As texts, because many clients' JSON numbers end at 2**53.
        assert remote.get("calls")["calls"][1]["token_ids"] == ["1", str(2**200)]

    def test_names_what_the_emulator_refuses(self, remote: RemoteEmulator) -> None:
        with pytest.raises(ValueError, match=r"refuses jobs: .*outcome"):
            remote.post("jobs", address=ADDRESS, outcome="splendid")
        with pytest.raises(ValueError, match=r"refuses unheard: There is no such command.*POST /_emulator/jobs"):
            remote.post("unheard")

    def test_is_there_until_it_is_gone(self, emulator: Emulator, remote: RemoteEmulator) -> None:
        assert remote.is_there()
        emulator.stop()
        assert not remote.is_there()
        with pytest.raises(ConnectionError, match=f"No emulator answers at {emulator.url}"):
            remote.get("counters")

    def test_shows_the_status_of_a_server_that_is_no_emulator(self) -> None:
        with (
            http_server(lambda handler: answer(handler, 404, b"<h1>Not here</h1>")) as server,
            RemoteEmulator(server.url) as remote,
            pytest.raises(ValueError, match="refuses counters: HTTP 404"),
        ):
            remote.get("counters")


SNIPPETS = Path(__file__).parents[1] / "docs/snippets"


def test_the_documented_remote_emulator_does_what_it_says(emulator: Emulator, ask: Call) -> None:
    ask()
    names: dict[str, object] = {}
    source = (SNIPPETS / "remote_emulator.py").read_text(encoding="utf-8")
    exec(source.replace("http://127.0.0.1:8765", emulator.url), names)  # noqa: S102 - our own page
    assert (names["units"], names["submissions"]) == (480, [*emulator.calls])
    assert ask().status_code == 503


def test_the_documented_chain_does_what_it_says() -> None:
    names: dict[str, Any] = {}
    exec((SNIPPETS / "emulated_chain.py").read_text(encoding="utf-8"), names)  # noqa: S102 - our own page
    assert len(names["revealed"]) == 100
