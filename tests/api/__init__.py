# SPDX-License-Identifier: Apache-2.0
"""Tests of Alchemy's API as the provider sees it, free of Airflow."""
