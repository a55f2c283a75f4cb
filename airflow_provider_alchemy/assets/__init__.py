# SPDX-License-Identifier: Apache-2.0
"""
Collections as Airflow assets (datasets on Airflow 2.11), named ``alchemy://eth-mainnet/0xe9fc…``.

Airflow loads this package in every process that meets an asset's URI, whatever its scheme: so it imports next to
nothing until it is asked about a collection.
"""

from airflow_provider_alchemy.assets.factory import collection

__all__ = ["collection"]
