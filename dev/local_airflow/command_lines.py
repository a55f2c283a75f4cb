# SPDX-License-Identifier: Apache-2.0
"""The components of one local Airflow by name, with the command line of each.

It exists because a cluster has several triggerers and workers: each has a name of its own, by which it is killed
and started again.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

AIRFLOW = (sys.executable, "-m", "airflow")
TRIGGERER, WORKER = "triggerer", "worker"


def numbered(kind: str, count: int) -> list[str]:
    """Name the components of one kind.

    :param kind: ``triggerer`` or ``worker``.
    :param count: How many there are.
    :returns: The kind's own name for a single triggerer, else the kind with a number from 1 on.
    """
    if kind == TRIGGERER and count == 1:
        return [kind]
    return [f"{kind}-{number}" for number in range(1, count + 1)]


def component_commands(home: Path, *, triggerers: int, workers: int) -> Mapping[str, Sequence[str]]:
    """Write the command lines, in the order in which the components are started.

    :param home: The home folder, for the files with their process ids.
    :param triggerers: How many triggerers.
    :param workers: How many Celery workers; none where another executor runs the tasks.
    :returns: Component name to command line.
    """
    # The API server first: it takes longest to be ready.
    arguments: dict[str, Sequence[str]] = {
        "api-server": ["api-server"],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
    }
    for name in numbered(TRIGGERER, triggerers):
        # Without its own file a second one takes itself for the first.
        arguments[name] = ["triggerer", "--skip-serve-logs", "--pid", str(home / f"{name}.pid")]
    for name in numbered(WORKER, workers):
        identity = ["--celery-hostname", name, "--pid", str(home / f"{name}.pid")]
        # Gossip and mingle are talk among many workers, which delays the start.
        talk = ["--without-gossip", "--without-mingle"]
        arguments[name] = ["celery", "worker", "--skip-serve-logs", *identity, *talk]
    return {name: (*AIRFLOW, *line) for name, line in arguments.items()}
