# SPDX-License-Identifier: Apache-2.0
"""What Airflow reads at start-up about this provider: data only, none of its code."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy import __version__
from airflow_provider_alchemy.connection_form import UI_FIELD_BEHAVIOUR, conn_fields

INTEGRATION = "Alchemy"


def get_provider_info() -> dict[str, Any]:
    """
    Describe the provider to Airflow (entry point ``apache_airflow_provider``).

    :return: The provider's description, valid against Airflow's ``provider_info.schema.json``.
    """
    return {
        "package-name": "airflow-provider-alchemy",
        "name": "Alchemy",
        "description": "Refresh the metadata of NFT collections with "
        "`Alchemy's NFT API <https://www.alchemy.com/docs/reference/nft-api-quickstart>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://www.alchemy.com/docs/reference/nft-api-quickstart",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks.alchemy")],
        "operators": [_modules("operators.reingest")],
        "sensors": [_modules("sensors.reingest")],
        "triggers": [_modules("triggers.reingest")],
        "extra-links": [
            "airflow_provider_alchemy.links.collection.ContractLink",
            "airflow_provider_alchemy.links.collection.DashboardLink",
        ],
        "connection-types": [
            {
                "connection-type": "alchemy",
                "hook-class-name": "airflow_provider_alchemy.hooks.alchemy.AlchemyHook",
                "hook-name": "Alchemy",
                "ui-field-behaviour": {key.replace("_", "-"): value for key, value in UI_FIELD_BEHAVIOUR.items()},
                "conn-fields": conn_fields(),
            }
        ],
    }


def _modules(*names: str) -> dict[str, Any]:
    return {
        "integration-name": INTEGRATION,
        "python-modules": [f"airflow_provider_alchemy.{name}" for name in names],
    }
