# SPDX-License-Identifier: Apache-2.0
"""What operators and sensors share: the life of a wait in an Airflow task."""
