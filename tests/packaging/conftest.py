# SPDX-License-Identifier: Apache-2.0
"""Wheel and sdist, built once in each process, and an environment with nothing but the wheel and what it depends on."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command; give what it has written, or fail with it."""
    ours = ("AIRFLOW", "PYTHONPATH", "PYTEST")  # else it would find the checkout's package, and this test's Airflow
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # tests/conftest.py has taken the user's proxies away: `make dist-check` hands them on for the package index.
    proxies = {name: os.environ.get(f"INDEX_{name}", "") for name in ("HTTPS_PROXY", "NO_PROXY")}
    done = subprocess.run(  # noqa: S603 - our own interpreter and tools
        list(map(str, command)),
        cwd=cwd,
        env={**inherited, **{name: value for name, value in proxies.items() if value}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"[-4000:]
    return done.stdout


@dataclass(frozen=True)
class Dists:
    """What a release consists of."""

    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Installed:
    """
    An environment that has the wheel.

    :param folder: Its folder; it is outside the checkout, as is all that runs there.
    """

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, program: str, *arguments: str | Path, **environment: str) -> str:
        home = str(self.folder.parent / "airflow")
        return run(
            self.folder / "bin" / program,
            *arguments,
            cwd=self.folder.parent,
            AIRFLOW_HOME=home,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            **environment,
        )


@pytest.fixture(scope="session")
def dists(tmp_path_factory: pytest.TempPathFactory) -> Dists:
    """Build as a release is built: the sdist from the checkout, and the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("dists")
    run(sys.executable, "-m", "build", "--outdir", folder, PROJECT, cwd=folder)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return Dists(sdist, wheel)


@pytest.fixture(scope="session")
def unpacked(dists: Dists, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the sdist."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(dists.sdist) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


@pytest.fixture(scope="session")
def installed(dists: Dists, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel as a user does, with the pinned versions."""
    folder = tmp_path_factory.mktemp("installed") / "environment"
    run(UV, "venv", "--python", sys.executable, folder, cwd=folder.parent)
    installed = Installed(folder)
    install(installed, dists.wheel)
    return installed


def install(installed: Installed, *what: str | Path) -> None:
    pins = ("--constraint", PROJECT / "dev/constraints.txt", "--python", installed.python)
    run(UV, "pip", "install", "--quiet", *pins, *what, cwd=installed.folder.parent)
