# SPDX-License-Identifier: Apache-2.0
"""An Airflow with collections in all states, made by runs of real tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow.api_fastapi.auth.tokens import JWTGenerator

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from dev.local_airflow import LocalAirflow
from dev.local_airflow.settings import SECRETS_FILE
from tests.e2e.page.dags.page import (
    DOWNSTREAM,
    FAILED,
    FAILED_TOKENS,
    FRESH,
    NIGHTLY,
    PARTIAL,
    RUNNING,
    TOKENS,
    address_of,
)

DAGS = Path(__file__).parent / "dags"

USD_PER_MILLION_UNITS = 0.4
WITH_ROLES = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False"}
HELD_TOKENS = range(TOKENS[RUNNING] // 2)
SESSION_SECONDS = 24 * 3600


class AirflowWithRoles(LocalAirflow):
    """An Airflow that asks who one is."""

    def _prepare(self) -> None:
        super()._prepare()
        self._api._session.headers["Authorization"] = f"Bearer {self.token_of('admin')}"

    def token_of(self, role: str | None) -> str:
        """Sign in as a user with a role of Airflow's simple auth manager; None: one who may nothing."""
        secrets = json.loads((self.home / SECRETS_FILE).read_text(encoding="utf-8"))
        signer = JWTGenerator(
            secret_key=secrets["AIRFLOW__API_AUTH__JWT_SECRET"],
            valid_for=SESSION_SECONDS,
            audience="apache-airflow",
        )
        return signer.generate({"sub": f"user {role}", "role": role, "teams": []})


@dataclass(frozen=True)
class Stage:
    """
    The Airflow and the emulator.

    :param airflow: The running Airflow.
    :param emulator: The running emulator.
    """

    airflow: AirflowWithRoles
    emulator: AlchemyEmulator


@contextmanager
def open_stage(home: Path) -> Iterator[Stage]:
    with AlchemyEmulator(units_per_second=None) as emulator:
        for name, tokens in TOKENS.items():
            emulator.set_collection(address_of(name), tokens=tokens)
        emulator.set_tokens(address_of(PARTIAL), range(FAILED_TOKENS), error="Token does not exist")
        emulator.set_tokens(address_of(RUNNING), HELD_TOKENS, stale=True)
        emulator.set_job(address_of(FAILED), outcome="does_not_exist")
        extra = {"compute_units_per_second": 1_000_000, "usd_per_million_units": USD_PER_MILLION_UNITS}
        connections = {"alchemy_default": connection_json(emulator, **extra)}
        airflow = AirflowWithRoles(home, DAGS, connections=connections, environment=WITH_ROLES, database="postgresql")
        with airflow:
            airflow.unpause_dag(DOWNSTREAM)
            runs = [airflow.trigger_dag(dag_id) for dag_id in (FRESH, PARTIAL, FAILED, NIGHTLY)]
            for run in runs:
                run.wait()
            airflow.unpause_dag(RUNNING)
            yield Stage(airflow, emulator)
