# SPDX-License-Identifier: Apache-2.0
"""The packages that only some local Airflows need: their lack is said before anything is started."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from dev.local_airflow.errors import LocalAirflowError

if TYPE_CHECKING:
    from collections.abc import Mapping


def fail_if_missing(packages: Mapping[str, str], needed_for: str) -> None:
    """Complain about packages that are not installed.

    :param packages: Module to the distribution that has it.
    :param needed_for: What needs them, for the sentence.
    :raises LocalAirflowError: Naming the distributions.
    """
    missing = [distribution for module, distribution in packages.items() if find_spec(module) is None]
    if missing:
        msg = f"A local Airflow {needed_for} needs the packages {', '.join(missing)}, which are not installed."
        raise LocalAirflowError(msg)
