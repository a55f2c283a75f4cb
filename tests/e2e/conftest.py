# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share. Each folder has an Airflow of its own: see its ``conftest.py``."""

from __future__ import annotations

import secrets

import pytest


@pytest.fixture(scope="session")
def api_key() -> str:
    """A key with characters that look different in a URL, so that a search finds each of its forms."""
    return f"e2e+{secrets.token_hex(12)}="
