# SPDX-License-Identifier: Apache-2.0
"""Tests of the emulator and of the fixtures that users get."""
