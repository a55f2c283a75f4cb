# SPDX-License-Identifier: Apache-2.0
"""Tests of the sensor, in each of its modes."""
