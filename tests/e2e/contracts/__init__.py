# SPDX-License-Identifier: Apache-2.0
"""The operator for many contracts on real Airflow processes."""
