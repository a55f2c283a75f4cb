# SPDX-License-Identifier: Apache-2.0
"""Alchemy's NFT API, free of Airflow: usable from a notebook."""
