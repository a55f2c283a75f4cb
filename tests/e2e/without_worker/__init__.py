# SPDX-License-Identifier: Apache-2.0
"""Tasks that start or end in the triggerer, on a real Airflow."""
