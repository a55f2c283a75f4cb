# SPDX-License-Identifier: Apache-2.0
"""The emulator over TLS: who trusts it, its faults and its end there, and the command line's two options."""

from __future__ import annotations

import gc
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import trustme

from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.emulator import main
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
from tests.waiting import eventually

from .conftest import ADDRESS

pytestmark = pytest.mark.integration

MODULE = "airflow_provider_alchemy.testing.emulator"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture
def emulator(authority: trustme.CA) -> Iterator[AlchemyEmulator]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with AlchemyEmulator(units_per_second=None, ssl_context=context) as running:
        yield running


@pytest.fixture
def certificate_options(authority: trustme.CA, tmp_path: Path) -> list[str]:
    issued = authority.issue_cert("127.0.0.1")
    certificate, private_key = tmp_path / "certificate.pem", tmp_path / "private_key.pem"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(private_key))
    return ["--certificate", str(certificate), "--private-key", str(private_key)]


def call(emulator: AlchemyEmulator, verify: str, timeout: float = 5) -> requests.Response:
    url = f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract"
    return requests.get(url, {"contractAddress": ADDRESS}, verify=verify, timeout=timeout)


def test_it_answers_who_trusts_its_authority_and_nobody_else(emulator: AlchemyEmulator, authority_file: str) -> None:
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", emulator.url)
    assert call(emulator, authority_file).json()["reingestionState"] == "in_progress"
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{emulator.url}/_emulator/health", timeout=5)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{emulator.url.replace('https', 'http')}/_emulator/health", timeout=5)
    assert emulator.count() == 1


async def test_a_connection_trusts_it_with_the_authoritys_file_in_its_extra(
    emulator: AlchemyEmulator, authority_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(emulator, verify=authority_file))
    async with AlchemyHook() as hook:
        assert (await hook.areingest_contract(ADDRESS)).state == "in_progress"
    with AlchemyHook() as hook:
        assert hook.reingest_contract(ADDRESS).state == "in_progress"
    monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(emulator, max_attempts=1))
    with AlchemyHook() as hook, pytest.raises(AlchemyError, match="certificate"):
        hook.reingest_contract(ADDRESS)


def test_answers_are_cut_and_connections_reset_as_without_tls(emulator: AlchemyEmulator, authority_file: str) -> None:
    emulator.add_fault("cut", times=1)
    emulator.add_fault("reset", times=1)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        call(emulator, authority_file)
    with pytest.raises(requests.exceptions.ConnectionError):
        call(emulator, authority_file)
    assert call(emulator, authority_file).ok


@pytest.mark.filterwarnings("error")
def test_a_stop_waits_neither_for_idle_connections_nor_for_calls_that_hang(
    emulator: AlchemyEmulator, authority_file: str
) -> None:
    emulator.add_fault("hang", times=1)
    ends: list[str] = []

    def hang() -> None:
        try:
            call(emulator, authority_file)
        except requests.exceptions.RequestException as error:
            ends.append(type(error).__name__)

    with requests.Session() as idle:
        assert idle.get(f"{emulator.url}/_emulator/health", verify=authority_file, timeout=5).ok
        client = threading.Thread(target=hang)
        client.start()
        eventually(lambda: emulator.count() == 1)
        before = time.monotonic()
        emulator.stop()
        assert time.monotonic() - before < 20
        client.join(5)
    assert ends == ["ConnectionError"]
    # A connection left open would warn here.
    gc.collect()


def test_the_command_line_serves_tls_with_a_certificate_and_its_key(
    certificate_options: list[str], authority_file: str
) -> None:
    with subprocess.Popen(  # noqa: S603 -- this project's own module
        [sys.executable, "-W", "error", "-m", MODULE, "--port", "0", *certificate_options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            banner = ""
            while "_emulator/reset" not in banner and (line := process.stdout.readline()):
                banner += line
            connection = re.search(r"export AIRFLOW_CONN_ALCHEMY_DEFAULT='(.*)'\n", banner)
            assert connection, banner
            fields = json.loads(connection[1])
            assert fields["extra"] == {"verify": "/path/to/authority.pem"}
            assert "export CURL_CA_BUNDLE=/path/to/authority.pem\n" in banner
            assert requests.get(f"{fields['host']}/_emulator/health", verify=authority_file, timeout=5).ok
            process.send_signal(signal.SIGTERM)
            assert "".join(process.communicate(timeout=10)).strip() == ""
            assert process.returncode == 0
        finally:
            process.kill()


Spoil = Callable[[list[str], Path], list[str]]


def _without_the_key(options: list[str], _folder: Path) -> list[str]:
    return options[:2]


def _without_the_certificate(options: list[str], _folder: Path) -> list[str]:
    return options[2:]


def _with_a_key_that_is_not_there(options: list[str], folder: Path) -> list[str]:
    return [*options[:3], str(folder / "nowhere.pem")]


def _with_the_key_as_certificate(options: list[str], _folder: Path) -> list[str]:
    return [options[0], options[3], *options[2:]]


def _with_the_key_of_another(options: list[str], folder: Path) -> list[str]:
    other = folder / "other.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_pem.write_to_path(str(other))
    return [*options[:3], str(other)]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_without_the_key, "--certificate and --private-key belong together"),
        (_without_the_certificate, "--certificate and --private-key belong together"),
        (_with_a_key_that_is_not_there, "cannot be used: [Errno 2] No such file or directory"),
        (_with_the_key_as_certificate, "the files of --certificate and --private-key cannot be used"),
        (_with_the_key_of_another, "key values mismatch"),
    ],
)
def test_files_that_cannot_be_used_are_explained_without_a_traceback(
    certificate_options: list[str],
    tmp_path: Path,
    spoil: Spoil,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(spoil(certificate_options, tmp_path))
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
