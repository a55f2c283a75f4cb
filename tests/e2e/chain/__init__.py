# SPDX-License-Identifier: Apache-2.0
"""Watching the chain on real Airflow processes."""
