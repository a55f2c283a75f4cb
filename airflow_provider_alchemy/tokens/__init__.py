# SPDX-License-Identifier: Apache-2.0
"""The engine of ``RefreshCollectionOperator``: it refreshes a collection's tokens and proves it. No Airflow."""
