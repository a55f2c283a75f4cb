# SPDX-License-Identifier: Apache-2.0

"""Which processes are ours: the question before every kill."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.local_airflow import LocalAirflow, LocalAirflowError, components
from dev.local_airflow.kept import Kept, write_kept
from dev.local_airflow.ports import ReservedPort
from dev.local_airflow.processes import (
    HAS_PROC,
    MARK,
    ProcessIdentity,
    end_all,
    identity_of,
    living,
    mark_of,
    marked_processes,
    send,
)
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


FORKING = """
import subprocess, sys
for _ in range(2000):
    subprocess.Popen(["/bin/sleep", sys.argv[1]], env={}, start_new_session=True)
"""

LOSING_ITS_FIRST_END = """
import signal, sys, time, weakref
class Something: pass
def wait(_):
    print("ready", flush=True)
    time.sleep(60)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
something = Something()
reference = weakref.ref(something, wait)
del something
time.sleep(60)
"""


SERVER_WITH_A_HELPER = """
import signal, subprocess, sys, time
helper = "import signal, time; signal.signal(signal.SIGINT, lambda *_: print('helper interrupted', flush=True));"
helper += "print('ready', flush=True); [time.sleep(1) for _ in range(60)]"
process = subprocess.Popen([sys.executable, "-c", helper])
def end(*_):
    time.sleep(0.5)
    process.terminate()
    process.wait()
    print("ended in order", flush=True)
    sys.exit()
signal.signal(signal.SIGINT, end)
time.sleep(60)
"""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_with_the_number_of_a_kept_one_is_not_killed(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    earlier = ProcessIdentity(stranger.pid, "long ago")
    write_kept(tmp_path, Kept("0" * 32, "http://127.0.0.1:1", {"scheduler": earlier}))
    assert not LocalAirflow.stop_kept(tmp_path)
    send([earlier], signal.SIGKILL)
    assert stranger.poll() is None


def test_a_process_that_ended_has_no_identity(stranger: subprocess.Popen[bytes]) -> None:
    identity = identity_of(stranger.pid)
    assert identity is not None
    assert living([identity], "0" * 32, None) == {identity}
    stranger.kill()
    stranger.wait()
    assert living([identity], "0" * 32, None) == set()


@pytest.mark.skipif(not HAS_PROC, reason="the mark is read from /proc")
def test_marked_processes_are_found_with_their_children_and_ended() -> None:
    instance_id = "f" * 32
    child = f"import subprocess, sys; subprocess.run([{sys.executable!r}, '-c', 'input()'], env={{}})"
    environment = {**os.environ, MARK: mark_of(instance_id, "scheduler")}
    with subprocess.Popen(  # noqa: S603 - our own interpreter with our own program
        [sys.executable, "-c", child], stdin=subprocess.PIPE, env=environment, start_new_session=True
    ) as process:
        while len(marked_processes(instance_id)) < 2:
            assert process.poll() is None
        assert marked_processes(instance_id, "triggerer") == set()
        assert end_all(lambda: marked_processes(instance_id, "scheduler"), term_seconds=0, kill_seconds=10) == set()


def test_a_reserved_port_is_given_to_nobody_else() -> None:
    reserved = [ReservedPort(purpose="test") for _ in range(50)]
    try:
        assert len({port.number for port in reserved}) == 50
    finally:
        for port in reserved:
            port.release()


def test_a_port_on_which_somebody_listens_is_refused_with_a_sentence() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(LocalAirflowError, match="wanted for the API server, cannot be used"),
    ):
        ReservedPort(server.getsockname()[1], purpose="API server")


def sleeping(seconds: str) -> list[str]:
    command = f"/bin/sleep\0{seconds}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes() == command:
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(not HAS_PROC, reason="looks at processes through /proc")
def test_what_a_killed_process_starts_in_its_last_moment_is_killed_too() -> None:
    instance, seconds = secrets.token_hex(8), f"60.{secrets.randbelow(10**9)}"
    environment = {**os.environ, MARK: mark_of(instance, "")}
    with subprocess.Popen([sys.executable, "-c", FORKING, seconds], env=environment) as forking:  # noqa: S603 - our own
        eventually(lambda: len(sleeping(seconds)) > 5)
        assert end_all(lambda: marked_processes(instance), term_seconds=0) == set()
        assert forking.wait() < 0
    assert sleeping(seconds) == []


def ready(name: str, program: str, folder: Path) -> components.Components:
    """Start a component that says when it is ready."""
    ours = components.Components(
        instance_id=secrets.token_hex(16),
        environment=os.environ,
        working_folder=folder,
        output_folder=folder,
        commands={name: [sys.executable, "-c", program]},
    )
    ours.start(name)
    eventually(lambda: "ready" in ours.last_output(name))
    return ours


def test_a_component_whose_end_python_lost_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "AGAIN_SECONDS", 0.5)
    ours = ready("scheduler", LOSING_ITS_FIRST_END, tmp_path)

    ours.kill("scheduler", signal.SIGTERM)

    assert not ours.identities
    assert "Exception ignored" in ours.last_output("scheduler")


def test_a_server_alone_is_told_to_end_and_ends_its_processes_itself(tmp_path: Path) -> None:
    ours = ready("postgresql", SERVER_WITH_A_HELPER, tmp_path)

    ours.kill("postgresql", signal.SIGINT)

    assert ours.last_output("postgresql").splitlines() == ["ready", "ended in order"]
