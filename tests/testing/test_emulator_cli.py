# SPDX-License-Identifier: Apache-2.0
"""The command line, as a real process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.emulator import main
from tests.waiting import eventually

from .conftest import ADDRESS, batch, rpc_body

MODULE = "airflow_provider_alchemy.testing.emulator"
SECRET = "the-one-and-only-key"

Run = Callable[..., tuple["subprocess.Popen[str]", str, str]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Start the emulator as a process; gives the process, its URL and its banner."""
    processes: list[subprocess.Popen[str]] = []

    def start(*options: str, **environment: str) -> tuple[subprocess.Popen[str], str, str]:
        process = subprocess.Popen(  # noqa: S603 -- this project's own module
            [sys.executable, "-W", "error", "-m", MODULE, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        processes.append(process)
        assert process.stdout
        banner = ""
        while "_emulator/reset" not in banner and (line := process.stdout.readline()):
            banner += line
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+);", banner)
        assert found, process.communicate(timeout=10)
        return process, found[1], banner

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=10)


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    return process.returncode, out + err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_then_exits_quietly(run: Run, number: signal.Signals) -> None:
    process, url, banner = run()
    connection = re.search(r"export AIRFLOW_CONN_ALCHEMY_DEFAULT='(.*)'\n", banner)
    assert connection
    assert json.loads(connection[1]) == {"conn_type": "alchemy", "host": url, "password": "any-key-you-like"}
    assert "any key you like" in banner
    assert requests.get(f"{url}/_emulator/health", timeout=60).ok
    status, output = end(process, number)
    assert status == 0
    assert output.strip() == ""


def test_signals_take_it_away_and_bring_it_back_with_its_jobs(run: Run) -> None:
    process, url, _banner = run("--queued-seconds", "0", "--running-seconds", "3600")
    submit = f"{url}/nft/v2/any/reingestContract?contractAddress={ADDRESS}"
    requests.get(submit, timeout=60)

    def answers() -> bool:
        try:
            return requests.get(f"{url}/_emulator/health", timeout=60).ok
        except requests.RequestException:
            return False

    process.send_signal(signal.SIGUSR1)
    eventually(lambda: not answers())
    process.send_signal(signal.SIGUSR2)
    eventually(answers)
    process.send_signal(signal.SIGUSR2)  # it is there already

    assert requests.get(submit, timeout=60).json()["reingestionState"] == "in_progress"
    assert requests.get(f"{url}/_emulator/counters", timeout=60).json()["calls"] == 2
    assert end(process, signal.SIGTERM)[0] == 0


def test_the_commands_of_the_banner_are_understood(run: Run) -> None:
    _process, url, banner = run()
    commands = re.findall(r"curl (?:-X (\w+) )?(\S+)(?: -d '(.*)')?", banner)
    assert len(commands) == 12
    for method, target, body in commands:
        answer = requests.request(method or "GET", target, data=body or None, timeout=60)
        assert answer.ok, answer.text
        assert target.startswith(url)


def test_one_line_is_written_for_each_call_with_the_key_masked(run: Run) -> None:
    process, url, banner = run("--queued-seconds", "60")
    query = {"contractAddress": ADDRESS}
    answer = requests.get(f"{url}/nft/v2/{SECRET}/reingestContract", query, timeout=60)
    assert answer.json()["reingestionState"] == "queued"
    requests.get(f"{url}/nft/v2/{SECRET}", timeout=60)
    _status, output = end(process, signal.SIGTERM)
    first, second = output.strip().splitlines()
    assert first.endswith(
        f"GET /eth-mainnet/nft/v2/***/reingestContract?contractAddress={ADDRESS}: 200 queued, 480 units"
    )
    assert second.endswith("GET (unknown path): 404, 0 units")
    assert SECRET not in banner + output


def test_the_line_of_a_batch_tells_how_many_tokens_it_named(run: Run) -> None:
    process, url, _banner = run("--latency-seconds", "0.01")
    requests.post(f"{url}/nft/v3/{SECRET}/getNFTMetadataBatch", json=batch(1, 2), timeout=60)
    _status, output = end(process, signal.SIGTERM)
    line = f"POST /eth-mainnet/nft/v3/***/getNFTMetadataBatch?contractAddress={ADDRESS}: 200, 2 tokens, 480 units"
    assert output.strip().endswith(line)
    assert SECRET not in output


def test_only_the_key_in_the_named_variable_is_accepted_when_one_is_named(run: Run) -> None:
    process, url, banner = run("--api-key-env", "EMULATOR_KEY", "--units-per-second", "none", EMULATOR_KEY=SECRET)
    statuses = [
        requests.get(f"{url}/nft/v2/{key}/reingestContract", {"contractAddress": ADDRESS}, timeout=60).status_code
        for key in (SECRET, "another")
    ]
    assert statuses == [200, 401]
    _status, output = end(process, signal.SIGTERM)
    assert SECRET not in banner + output


def test_blocks_come_on_command_only_and_ranges_are_limited_where_that_is_asked_for(run: Run) -> None:
    _process, url, banner = run("--block-seconds", "none", "--max-block-range", "10")
    assert all(f"/_emulator/{name} " in banner for name in ("reveal", "mint", "mine_blocks"))
    settings = requests.post(f"{url}/_emulator/settings", timeout=60).json()
    assert (settings["block_seconds"], settings["max_block_range"]) == (None, 10)
    asked = rpc_body("eth_getLogs", {"fromBlock": "0x1", "toBlock": "0xb"})
    refused = requests.post(f"{url}/v2/{SECRET}", json=asked, timeout=60)
    assert "up to a 10 block range" in refused.json()["error"]["message"]


def test_a_taken_port_is_one_sentence_and_status_one(emulator: AlchemyEmulator) -> None:
    port = emulator.url.rpartition(":")[2]
    done = subprocess.run(  # noqa: S603 -- this project's own module
        [sys.executable, "-m", MODULE, "--port", port], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"Port {port} on 127.0.0.1 is already taken: choose another with --port.\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--speed", "0"], "speed must be above 0"),
        (["--latency-seconds", "-1"], "latency_seconds must be at least 0"),
        (["--block-seconds", "0"], "block_seconds must be at least 0.001"),
        (["--max-block-range", "0"], "max_block_range must be at least 1"),
        (["--running-seconds", "-5"], "running_seconds must be at least 0"),
        (["--api-key-env", SECRET], "is not set, or empty"),
    ],
)
def test_a_wrong_option_is_explained_without_a_traceback(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    explanation = capsys.readouterr().err
    assert sentence in explanation
    assert SECRET not in explanation


def test_the_process_starts_without_airflow() -> None:
    done = subprocess.run(  # noqa: S603 -- this project's own module
        [sys.executable, "-X", "importtime", "-m", MODULE, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert not re.search(r"\| +airflow(\.|$)", done.stderr, re.MULTILINE)
    assert "--units-per-second" in done.stdout
