# SPDX-License-Identifier: Apache-2.0
"""The tutorial's steps, one after the other, as a reader types them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from tests.docs.pages import page

STEPS = re.findall(r"^```bash\n(.*?)^```$", page("start/tutorial.md"), re.MULTILINE | re.DOTALL)
INSTALL, EMULATOR, CONNECTION, RUN, REAL_KEY = STEPS
(DAG,) = re.findall(r"^```python\n(.*?)^```$", page("start/tutorial.md"), re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.dag_run,
    pytest.mark.slow,
    pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="the tutorial is for the newest Airflow"),
]


def test_the_reader_ends_with_a_collection_that_is_proven(tmp_path: Path) -> None:
    commands = shlex.split(EMULATOR)
    assert commands[:3] == ["python", "-m", "airflow_provider_alchemy.testing.emulator"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    emulator = subprocess.Popen(  # noqa: S603 - the page's own command
        [sys.executable, *commands[1:-1], "0"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert emulator.stdout is not None
        url = re.search(r"http://127\.0\.0\.1:\d+", emulator.stdout.readline())
        assert url
        script = f"set -e\n{CONNECTION}\nmkdir -p airflow-home/dags\ncp dag.py airflow-home/dags/refresh.py\n{RUN}"
        (tmp_path / "dag.py").write_text(DAG, encoding="utf-8")
        done = subprocess.run(  # noqa: S603
            ["bash", "-c", script.replace("http://127.0.0.1:8765", url[0])],  # noqa: S607
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        emulator.terminate()
        emulator.wait()

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "250 of 250 tokens refreshed and proven" in done.stdout + done.stderr


def test_the_package_that_is_installed_is_this_one_and_the_last_step_names_a_key() -> None:
    assert "pip install airflow-provider-alchemy" in INSTALL
    assert "YOUR_API_KEY" in REAL_KEY
