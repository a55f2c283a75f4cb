# SPDX-License-Identifier: Apache-2.0
"""
What every test may use: an Airflow of its own in a throwaway home, and an emulator with a connection to it.

Airflow reads its home when it is imported, so the home is set here, before anything imports it; each worker of
pytest-xdist has its own process, and so its own home and database.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import time_machine

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing import AlchemyEmulator

pytest_plugins = ["pytester", "tests.faults.summary", "tests.e2e.cluster.figures", "tests.stillness"]

_HOME = Path(tempfile.mkdtemp(prefix="alchemy-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

for _name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
    del os.environ[_name]
for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    # The user's proxy would stand between the tests and the emulator.
    os.environ.pop(_name, None)
    os.environ.pop(_name.lower(), None)
(_HOME / "dags").mkdir()
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(_HOME / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME / 'airflow.db'}",
    AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS="False",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
)

# Times are never asserted here: a busy machine takes as long as it takes.
hypothesis.settings.register_profile(
    "untimed",
    parent=hypothesis.settings(),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")

ConnectTo = Callable[..., None]
TaskLog = Callable[[], str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Airflow's database: making it takes longer than most tests together."""
    for item in items:
        if "airflow_database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.dag_run)


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's metadata database, made once for all tests of this process that need it."""
    from airflow.utils.db import initdb  # noqa: PLC0415 - Airflow takes seconds to import, and few tests need it

    initdb()


@pytest.fixture
def emulator(alchemy_emulator: AlchemyEmulator, connect: ConnectTo) -> AlchemyEmulator:
    """The emulator without a throughput limit on either side: tests poll more often than any account may."""
    alchemy_emulator.configure(units_per_second=None)
    connect(max_attempts=1)
    return alchemy_emulator


@pytest.fixture
def connect(alchemy_emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch) -> ConnectTo:
    """Write ``alchemy_default`` anew, with other fields in its extra."""
    from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json  # noqa: PLC0415

    def write(**extra: str | float | bool) -> None:
        extra = {"compute_units_per_second": 1_000_000, **extra}
        monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(alchemy_emulator, **extra))

    return write


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """
    A wall clock that stands until a test puts it forward.

    So a deadline is over when the test says so, and not when the machine was slow. Sleeps and the time-outs of calls
    go by another clock and stay real.
    """
    with time_machine.travel(datetime.now(UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def before_3_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tasks without a store do on each Airflow what they do before 3.3, which gives none."""
    monkeypatch.setattr("airflow_provider_alchemy.tasks.store.HAS_STORE", False)


@pytest.fixture
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Back-off of hundredths of a second.

    The real one begins with a second, and tests of ten failures in a row would take minutes. That one is tested
    where it is defined; here it matters only that somebody waits at all.
    """

    def short(failures: int, retry_after_seconds: float | None = None) -> float:  # noqa: ARG001 - the real one's
        return 0.02

    for module in ("api.throttle", "waits.wait", "waits.reingest"):
        monkeypatch.setattr(f"airflow_provider_alchemy.{module}.backoff_seconds", short)
    for module in ("chain.reader", "chain.stream", "triggers.chain"):
        monkeypatch.setattr(f"airflow_provider_alchemy.{module}.backoff_seconds", short)


@pytest.fixture
def chain(emulator: AlchemyEmulator, quick_backoff: None, monkeypatch: pytest.MonkeyPatch) -> AlchemyEmulator:  # noqa: ARG001
    """The emulator with blocks on command only, for streams that wait no longer than a test needs."""
    monkeypatch.setattr("airflow_provider_alchemy.chain.stream.JOIN_SECONDS", 0.05)
    emulator.configure(block_seconds=None)
    return emulator


@pytest.fixture
def task_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[TaskLog]:
    """Give what tasks and triggers have logged so far: by ``logging`` in Airflow 2, by structlog to stdout in 3."""
    logger = logging.getLogger("airflow.task")
    logger.addHandler(caplog.handler)  # Airflow 2 lets this logger's records go no further
    caplog.set_level(logging.INFO)
    texts: list[str] = []

    def read() -> str:
        captured = capsys.readouterr()
        texts.extend([captured.out, captured.err])
        return "".join(texts) + caplog.text

    yield read
    logger.removeHandler(caplog.handler)
