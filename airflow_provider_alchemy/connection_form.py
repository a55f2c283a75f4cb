# SPDX-License-Identifier: Apache-2.0
"""
The connection's fields: one table for both of Airflow's form formats and for the reader of connections.

Data only: Airflow reads it at start-up through ``get_provider_info``, so nothing heavy may be imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

KNOWN_NETWORKS = (
    "eth-mainnet",
    "eth-sepolia",
    "polygon-mainnet",
    "polygon-amoy",
    "arb-mainnet",
    "opt-mainnet",
    "base-mainnet",
    "base-sepolia",
    "bnb-mainnet",
    "avax-mainnet",
    "zksync-mainnet",
    "linea-mainnet",
    "scroll-mainnet",
    "blast-mainnet",
    "zora-mainnet",
    "apechain-mainnet",
    "ronin-mainnet",
    "shape-mainnet",
    "abstract-mainnet",
    "unichain-mainnet",
    "worldchain-mainnet",
)
"""Networks named in the form as suggestions. The service knows more, and the list changes: any slug is accepted."""

FieldKind = Literal["string", "number", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class ExtraField:
    """
    One field of the connection's extra.

    :param name: Key in the connection's extra, and the keyword of ``ClientSettings``.
    :param label: What the form calls it.
    :param description: Help text under the field.
    :param kind: JSON schema type.
    :param default: Value when the field is empty; None where there is none.
    :param choices: The only values accepted; empty where any is.
    :param suggestions: Values offered by the form; others are accepted too.
    :param sensitive: Whether the form hides what is typed.
    """

    name: str
    label: str
    description: str
    kind: FieldKind = "string"
    default: str | float | bool | None = None
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    sensitive: bool = False


EXTRA_FIELDS = (
    ExtraField(
        "network",
        "Network",
        "First label of the API's host, for example eth-mainnet (the default). Known: "
        + ", ".join(KNOWN_NETWORKS)
        + ". Any other is accepted.",
        default="eth-mainnet",
        suggestions=KNOWN_NETWORKS,
    ),
    ExtraField(
        "api_version",
        "reingestContract version",
        "Path version of reingestContract: v2 is the documented one, the official SDKs call v3.",
        default="v2",
        choices=("v2", "v3"),
    ),
    ExtraField(
        "auth",
        "Send the key in",
        "path (the classic form) or header (Authorization: Bearer, recommended for backends, needed for JWTs).",
        default="path",
        choices=("path", "header"),
    ),
    ExtraField("timeout", "Timeout (seconds)", "For one call, from first to last byte.", "number", 30),
    ExtraField(
        "max_attempts",
        "Attempts per call",
        "How often a call is tried when the service is busy or out of reach.",
        "integer",
        5,
    ),
    ExtraField(
        "compute_units_per_second",
        "Compute units per second",
        "Throughput of your Alchemy plan: 300 on the free tier, 10,000 with pay-as-you-go.",
        "number",
        300,
    ),
    ExtraField(
        "usd_per_million_units",
        "US dollars per million units",
        "What compute units cost on your plan, for logs and results: 0.45 with pay-as-you-go, 0.40 beyond 300 million "
        "a month; 0: no prices, as for the free tier.",
        "number",
        0.45,
    ),
    ExtraField(
        "shared_budget",
        "Shared budget",
        "URL of a Redis (redis://… or rediss://…) in which all workers and triggerers of this account count compute "
        "units together; needs the extra [redis]. Empty: each process counts its own.",
        sensitive=True,
    ),
    ExtraField(
        "proxy",
        "Proxy",
        "URL of an HTTP proxy; empty: the HTTPS_PROXY and NO_PROXY of the environment.",
        sensitive=True,
    ),
    ExtraField(
        "verify",
        "Verify TLS",
        "true (the default), false, or the path of a file with the certificate authorities to trust.",
        default="true",
    ),
    ExtraField(
        "allow_insecure",
        "Allow plain http://",
        "Also beyond this machine. Sends the key in clear text: for a proxy inside your own network only.",
        "boolean",
        default=False,
    ),
)

_KEY_LABEL = "API key"
_KEY_HINT = "the key of your app in the Alchemy dashboard"
UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden_fields": ["login", "port", "schema"],
    "relabeling": {"password": _KEY_LABEL, "host": "Base URL"},
    "placeholders": {
        "password": _KEY_HINT,
        "host": "empty: https://{network}.g.alchemy.com; else an emulator or a proxy",
    },
}


def conn_fields() -> dict[str, dict[str, Any]]:
    """Build the form as Airflow 3.2 and newer read it from the provider info."""
    return {field.name: _conn_field(field) for field in EXTRA_FIELDS}


def _conn_field(field: ExtraField) -> dict[str, Any]:
    # The form leaves a field that was left empty at null, so null is valid for each.
    schema: dict[str, Any] = {"type": [field.kind, "null"]}
    if field.default is not None:
        schema["default"] = field.default
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.suggestions:
        schema["examples"] = list(field.suggestions)
    if field.sensitive:
        schema["format"] = "password"
    return {"label": field.label, "description": field.description, "schema": schema}
