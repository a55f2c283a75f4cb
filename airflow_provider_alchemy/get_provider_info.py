# SPDX-License-Identifier: Apache-2.0
"""What Airflow reads at start-up about this provider: data only, none of its code."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy import __version__
from airflow_provider_alchemy.connection_form import UI_FIELD_BEHAVIOUR, conn_fields

INTEGRATION = "Alchemy"

_ASSET_URIS = {
    "schemes": ["alchemy"],
    "handler": "airflow_provider_alchemy.assets.uris.sanitize_uri",
    "factory": "airflow_provider_alchemy.assets.collection",
    "to_openlineage_converter": "airflow_provider_alchemy.assets.uris.convert_asset_to_openlineage",
}


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow (entry point ``apache_airflow_provider``)."""
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
        "operators": [_modules("operators.reingest", "operators.collection")],
        "sensors": [_modules("sensors.reingest", "sensors.freshness", "sensors.new_tokens")],
        "triggers": [
            _modules("triggers.reingest", "triggers.batch", "triggers.wait", "triggers.chain"),
        ],
        "extra-links": [
            "airflow_provider_alchemy.links.collection.ContractLink",
            "airflow_provider_alchemy.links.collection.DashboardLink",
        ],
        # Airflow 3 reads the first, Airflow 2.11 the second.
        "asset-uris": [_ASSET_URIS],
        "dataset-uris": [_ASSET_URIS],
        "config": {
            "alchemy": {
                "description": "Where tasks of this provider start and end.",
                "options": {
                    "start_from_trigger": _flag(
                        "Whether deferrable tasks start in the triggerer, without a worker, where they do not say "
                        "otherwise. A task that cannot (an argument is an XCom, it is mapped) starts in a worker."
                    ),
                    "end_from_trigger": _flag(
                        "Whether deferrable tasks that end well end in the triggerer, without a worker, where they do "
                        "not say otherwise. A task that cannot (it has outlets) ends in a worker. Needs Airflow 3.3."
                    ),
                },
            }
        },
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


def _flag(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": __version__,
        "type": "boolean",
        "example": "True",
        "default": "False",
    }


def _modules(*names: str) -> dict[str, Any]:
    return {
        "integration-name": INTEGRATION,
        "python-modules": [f"airflow_provider_alchemy.{name}" for name in names],
    }
