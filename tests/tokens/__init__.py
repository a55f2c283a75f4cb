# SPDX-License-Identifier: Apache-2.0
"""Tests of the engine that refreshes a collection's tokens."""
