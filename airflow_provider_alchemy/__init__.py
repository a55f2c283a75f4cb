# SPDX-License-Identifier: Apache-2.0
"""Airflow provider for Alchemy: refresh the metadata of NFT collections from DAGs."""

from __future__ import annotations

__version__ = "1.0.0"
