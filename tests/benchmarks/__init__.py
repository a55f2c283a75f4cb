# SPDX-License-Identifier: Apache-2.0
"""Tests of what is certain about the benchmarks; what they measure is not."""
