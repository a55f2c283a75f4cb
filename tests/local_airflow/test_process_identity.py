# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: INP001 - a package of this name would hide local_airflow itself

"""Which processes are ours: the question before every kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local_airflow import LocalAirflow, LocalAirflowError
from local_airflow.kept import Kept, write_kept
from local_airflow.ports import ReservedPort
from local_airflow.processes import (
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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
