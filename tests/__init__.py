# SPDX-License-Identifier: Apache-2.0
"""Tests, as packages: modules of several folders may have the same name."""
