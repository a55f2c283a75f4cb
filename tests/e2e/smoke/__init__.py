# SPDX-License-Identifier: Apache-2.0
"""The short pass on a real Airflow: all that a user can write into a DAG, once."""
