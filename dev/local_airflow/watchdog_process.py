# SPDX-License-Identifier: Apache-2.0
"""The program that the watchdog runs; apart from its starter's side, so that nothing imports it twice."""

from __future__ import annotations

import sys

from dev.local_airflow.ending import end_instance
from dev.local_airflow.processes import ProcessIdentity
from dev.local_airflow.watchdog import RELEASE


def main() -> None:
    """Wait for the starter's death, then end what it started, unless it said that nothing is to be done."""
    instance_id = sys.argv[1]
    leaders: dict[str, ProcessIdentity] = {}
    for line in sys.stdin:
        if line.strip() == RELEASE:
            return
        name, pid, started = line.strip().split(" ", maxsplit=2)
        leaders[name] = ProcessIdentity(int(pid), started)
    end_instance(instance_id, leaders)


if __name__ == "__main__":
    main()
