# SPDX-License-Identifier: Apache-2.0
"""The emulator of another process, as the tests of a deployment steer it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator, RemoteEmulator
from tests.api.servers import answer, http_server

from .conftest import ADDRESS, Ask, Send, batch

README = Path(__file__).resolve().parents[2] / "README.md"

pytestmark = pytest.mark.integration


@pytest.fixture
def remote(emulator: AlchemyEmulator) -> Iterator[RemoteEmulator]:
    with RemoteEmulator(emulator.url) as control:
        yield control


def test_what_it_is_told_is_done(remote: RemoteEmulator, ask: Ask) -> None:
    remote.tell("jobs", address=ADDRESS, outcome="does_not_exist")
    assert ask().json()["reingestionState"] == "does_not_exist"


def test_what_it_is_asked_is_answered(remote: RemoteEmulator, ask: Ask) -> None:
    ask()
    assert remote.look("counters")["calls"] == 1


def test_the_calls_are_those_that_the_emulator_itself_tells(
    emulator: AlchemyEmulator, remote: RemoteEmulator, ask: Ask, send: Send
) -> None:
    ask()
    send("getNFTMetadataBatch", batch(1, 2**70))
    assert remote.calls == emulator.calls


def test_faults_are_cleared(remote: RemoteEmulator, ask: Ask) -> None:
    remote.tell("faults", kind="http", status=503)
    assert ask().status_code == 503
    remote.clear_faults()
    assert ask().status_code == 200


def test_a_wrong_field_is_named(remote: RemoteEmulator) -> None:
    with pytest.raises(ValueError, match=r"refuses jobs: .*outcome"):
        remote.tell("jobs", address=ADDRESS, outcome="splendid")


def test_an_unknown_command_is_answered_with_the_known_ones(remote: RemoteEmulator) -> None:
    with pytest.raises(ValueError, match=r"refuses unheard: There is no such command.*POST /_emulator/jobs"):
        remote.tell("unheard")


def test_it_is_there_until_it_is_gone(emulator: AlchemyEmulator, remote: RemoteEmulator) -> None:
    assert remote.is_there()
    emulator.stop()
    assert not remote.is_there()
    with pytest.raises(ConnectionError, match=f"No emulator answers at {emulator.url}"):
        remote.look("counters")


def test_a_server_that_is_no_emulator_is_told_by_its_status() -> None:
    with (
        http_server(lambda handler: answer(handler, 404, b"<h1>Not here</h1>")) as server,
        RemoteEmulator(server.url) as remote,
        pytest.raises(ValueError, match="refuses counters: HTTP 404"),
    ):
        remote.look("counters")


def test_the_readmes_example_does_what_it_says(emulator: AlchemyEmulator, ask: Ask) -> None:
    ask()
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (example,) = [block for block in blocks if "with RemoteEmulator(" in block]
    names: dict[str, object] = {}
    exec(example.replace("http://127.0.0.1:8765", emulator.url), names)  # noqa: S102 - our own README
    assert (names["units"], names["submissions"]) == (480, [*emulator.calls])
    assert ask().status_code == 503
