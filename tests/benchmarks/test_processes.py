# SPDX-License-Identifier: Apache-2.0
"""The processes of a benchmark: what they say, how they end, what they inherit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev.benchmarks.command_line import run_command
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.polled_service import polled_service
from dev.benchmarks.processes import PROJECT, child, clean_environment
from dev.local_airflow.certificates import write_certificates
from tests.waiting import eventually

pytestmark = pytest.mark.integration


def server_arguments(folder: Path) -> list[str]:
    files = write_certificates(folder)
    return ["--certificate", str(files.certificate), "--private-key", str(files.private_key)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_ends_with_its_block_also_when_that_fails(tmp_path: Path) -> None:
    processes: list[subprocess.Popen[str]] = []

    def fail() -> None:
        with child("dev.benchmarks.server", *server_arguments(tmp_path), folder=tmp_path) as server:
            processes.append(server._process)
            assert server.hear(within_seconds=300)["port"] > 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert processes[0].poll() is not None


def test_a_child_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with (
        child("dev.benchmarks.server", "--certificate", "nowhere.pem", "--private-key", "x", folder=tmp_path) as server,
        pytest.raises(BenchmarkError, match=r"(?s)benchmarks\.server ended too early, with status 1:.*No such file"),
    ):
        server.hear(within_seconds=300)


def test_a_child_that_says_nothing_in_time_is_ended(tmp_path: Path) -> None:
    with child("dev.benchmarks.server", *server_arguments(tmp_path), folder=tmp_path) as server:
        server.hear(within_seconds=300)
        with pytest.raises(BenchmarkError, match="ended too early"):
            server.hear(within_seconds=0.1)


def test_a_child_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from dev.benchmarks.processes import child\n"
        "with child('dev.benchmarks.server', *sys.argv[2:], folder=pathlib.Path(sys.argv[1])) as server:\n"
        "    server.hear(within_seconds=300)\n"
        "    print(server._process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    arguments = [str(tmp_path), *server_arguments(tmp_path)]
    with subprocess.Popen(  # noqa: S603 - fixed text
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        starter.kill()
    eventually(lambda: not is_alive(pid))


def test_a_command_ends_with_a_sentence_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        msg = "the service did not start"
        raise BenchmarkError(msg)

    def interrupt() -> None:
        raise KeyboardInterrupt

    assert run_command(lambda: None) == 0
    assert run_command(fail) == 1
    assert run_command(interrupt) == 130
    assert capsys.readouterr().err == "the service did not start\nInterrupted; nothing is left running.\n"


def test_a_command_ends_as_with_ctrl_c_when_it_is_terminated() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ended: list[bool] = []

    def wait() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            ended.append(True)

    with pytest.raises(SystemExit) as stopped:
        run_command(wait)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert ended == [True]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_child_inherits_neither_proxies_nor_the_users_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW_CONN_HTTP_DEFAULT", "AIRFLOW__CORE__EXECUTOR", "https_proxy", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "x")
    environment = clean_environment(AIRFLOW_HOME="/home")
    assert environment["AIRFLOW_HOME"] == "/home"
    assert environment["PATH"] == os.environ["PATH"]
    assert not {"AIRFLOW_CONN_HTTP_DEFAULT", "AIRFLOW__CORE__EXECUTOR", "https_proxy", "SSL_CERT_FILE"} & set(
        environment
    )


def test_the_service_tells_its_url(tmp_path: Path) -> None:
    with polled_service(write_certificates(tmp_path), tmp_path) as service:
        assert service.url.startswith("https://127.0.0.1:")
        assert service.counters("alchemy") == {"requests": 0, "connections": 0}
