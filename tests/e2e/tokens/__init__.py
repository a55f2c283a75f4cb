# SPDX-License-Identifier: Apache-2.0
"""The refresh of tokens on real Airflow processes."""
