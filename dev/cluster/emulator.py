# SPDX-License-Identifier: Apache-2.0
"""The emulator of a cluster: a process of its own behind TLS."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dev.local_airflow.certificates import Certificates

KEY_VARIABLE = "CLUSTER_ALCHEMY_API_KEY"
"""The environment variable in which the emulator finds the key it accepts."""


def emulator_command(certificates: Certificates, port: int, options: Sequence[str]) -> list[str]:
    """
    Write the emulator's command line.

    :param certificates: What it serves TLS with.
    :param port: Its port.
    :param options: Further options, such as ``--units-per-second=none``.
    :return: The command line.
    """
    tls = [f"--certificate={certificates.certificate}", f"--private-key={certificates.private_key}"]
    program = [sys.executable, "-m", "airflow_provider_alchemy.testing.emulator"]
    return [*program, f"--port={port}", f"--api-key-env={KEY_VARIABLE}", *tls, *options]
