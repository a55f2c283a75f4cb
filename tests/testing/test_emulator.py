# SPDX-License-Identifier: Apache-2.0
"""The command line, as a real process."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_alchemy.testing.emulator import main
from airflow_provider_alchemy.testing.settings import Settings
from dev.local_airflow.certificates import Certificates, write_certificates
from tests.waiting import eventually

from .conftest import ADDRESS, SECONDS, Emulator, batch, rpc_body

MODULE = "airflow_provider_alchemy.testing.emulator"
SECRET = "the-one-and-only-key"

Process = subprocess.Popen[str]
Run = Callable[..., tuple[Process, str, str]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Start the emulator as a process; gives the process, its URL and its banner."""
    processes: list[Process] = []

    def start(*options: str, **environment: str) -> tuple[Process, str, str]:
        process = subprocess.Popen(  # noqa: S603 - this project's own module
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
        found = re.search(r"listens on (https?://127\.0\.0\.1:\d+);", banner)
        assert found, process.communicate(timeout=SECONDS)
        return process, found[1], banner

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=SECONDS)


def end(process: Process, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, (out + err).strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_then_exits_quietly(run: Run, number: signal.Signals) -> None:
    process, url, banner = run()
    connection = f'{{"conn_type": "alchemy", "host": "{url}", "password": "any-key-you-like"}}'
    assert f"export AIRFLOW_CONN_ALCHEMY_DEFAULT='{connection}'\n" in banner
    assert requests.get(f"{url}/_emulator/health", timeout=SECONDS).ok
    assert end(process, number) == (0, "")


def test_signals_take_it_away_and_bring_it_back_with_its_jobs(run: Run) -> None:
    process, url, _banner = run("--queued-seconds", "0", "--running-seconds", "3600")
    submit = f"{url}/nft/v2/any/reingestContract?contractAddress={ADDRESS}"
    requests.get(submit, timeout=SECONDS)

    def answers() -> bool:
        try:
            return requests.get(f"{url}/_emulator/health", timeout=SECONDS).ok
        except requests.RequestException:
            return False

    process.send_signal(signal.SIGUSR1)
    eventually(lambda: not answers())
    process.send_signal(signal.SIGUSR2)
    eventually(answers)
    process.send_signal(signal.SIGUSR2)  # it is there already

    assert requests.get(submit, timeout=SECONDS).json()["reingestionState"] == "in_progress"
    assert requests.get(f"{url}/_emulator/counters", timeout=SECONDS).json()["calls"] == 2
    assert end(process)[0] == 0


def test_the_commands_of_the_banner_are_understood(run: Run) -> None:
    _process, url, banner = run()
    commands = re.findall(r"curl (?:-X (\w+) )?(\S+)(?: -d '(.*)')?", banner)
    assert len(commands) == 10
    for method, target, body in commands:
        assert target.startswith(url)
        assert requests.request(method or "GET", target, data=body or None, timeout=SECONDS).ok, target


def test_only_a_named_key_is_accepted_and_a_line_for_each_call_masks_it(run: Run) -> None:
    options = ("--api-key-env", "EMULATOR_KEY", "--queued-seconds", "3600", "--latency-seconds", "0.01")
    process, url, banner = run(*options, EMULATOR_KEY=SECRET)
    for key in (SECRET, "another"):
        requests.get(f"{url}/nft/v2/{key}/reingestContract", {"contractAddress": ADDRESS}, timeout=SECONDS)
    requests.get(f"{url}/nft/v2/{SECRET}", timeout=SECONDS)
    requests.post(f"{url}/nft/v3/{SECRET}/getNFTMetadataBatch", json=batch(1, 2), timeout=SECONDS)
    _status, output = end(process)
    assert [re.sub(r"^\S+ \S+ ", "", line) for line in output.splitlines()] == [
        f"GET /eth-mainnet/nft/v2/***/reingestContract?contractAddress={ADDRESS}: 200 queued, 480 units",
        f"GET /eth-mainnet/nft/v2/***/reingestContract?contractAddress={ADDRESS}: 401, 480 units",
        "GET (unknown path): 404, 0 units",
        f"POST /eth-mainnet/nft/v3/***/getNFTMetadataBatch?contractAddress={ADDRESS}: 200, 2 tokens, 480 units",
    ]
    assert SECRET not in banner + output


def test_every_switch_is_an_option(run: Run) -> None:
    options = {
        "units-per-second": "none",
        "block-seconds": "none",
        "max-block-range": "10",
        "batch-form": "array",
        "header-auth-v2": "false",
        "reingest-gone": "410",
        "speed": "2.5",
    }
    _process, url, _banner = run(*(part for name, value in options.items() for part in (f"--{name}", value)))
    switches = requests.post(f"{url}/_emulator/settings", timeout=SECONDS).json()
    assert [switches[name.replace("-", "_")] for name in options] == [None, None, 10, "array", False, 410, 2.5]
    refused = requests.post(f"{url}/v2/{SECRET}", json=rpc_body("eth_getLogs", {"fromBlock": "0x1"}), timeout=SECONDS)
    assert "up to a 10 block range" in refused.json()["error"]["message"]


def test_help_explains_every_switch_and_loads_no_airflow() -> None:
    command = [sys.executable, "-X", "importtime", "-m", MODULE, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)  # noqa: S603 - ours
    assert not re.search(r"\| +airflow(\.|$)", done.stderr, re.MULTILINE)
    for field in dataclasses.fields(Settings):
        assert re.search(rf"--{field.name.replace('_', '-')} VALUE\s+\w", done.stdout), field.name


def test_a_taken_port_is_one_sentence_and_status_one(emulator: Emulator) -> None:
    port = emulator.url.rpartition(":")[2]
    command = [sys.executable, "-m", MODULE, "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - ours
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Port {port} on 127.0.0.1 is already taken: choose another with --port.\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


def test_it_serves_tls_with_a_certificate_and_its_key(run: Run, certificates: Certificates) -> None:
    process, url, banner = run(f"--certificate={certificates.certificate}", f"--private-key={certificates.private_key}")
    assert f'"host": "{url}", "password": "any-key-you-like", "extra": {{"verify": "/path/to/authority.pem"}}' in banner
    assert "export CURL_CA_BUNDLE=/path/to/authority.pem\n" in banner
    assert requests.get(f"{url}/_emulator/health", verify=str(certificates.authority), timeout=SECONDS).ok
    assert end(process) == (0, "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--speed 0", "speed must be greater than 0"),
        ("--block-seconds 0", "block_seconds must be greater than or equal to 0.001"),
        ("--batch-form list", "batch_form must be 'object' or 'array', not 'list'"),
        ("--running-seconds -5", "running_seconds must be greater than or equal to 0"),
        (f"--api-key-env {SECRET}", "is not set, or empty"),
        ("--certificate {certificate}", "--certificate and --private-key belong together"),
        ("--private-key {private_key}", "--certificate and --private-key belong together"),
        ("--certificate {certificate} --private-key nowhere.pem", "[Errno 2] No such file or directory"),
        ("--certificate {private_key} --private-key {private_key}", "--private-key cannot be used"),
        ("--certificate {certificate} --private-key {other_key}", "key values mismatch"),
    ],
)
def test_a_wrong_option_is_explained_without_a_traceback(
    options: str, sentence: str, certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_key = write_certificates(tmp_path).private_key
    with pytest.raises(SystemExit) as stopped:
        main(options.format(**vars(certificates), other_key=other_key).split())
    explanation = capsys.readouterr().err
    assert stopped.value.code == 2
    assert sentence in explanation
    assert SECRET not in explanation
