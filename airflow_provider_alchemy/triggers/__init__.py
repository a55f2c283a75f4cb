# SPDX-License-Identifier: Apache-2.0
"""The waits, in the triggerer."""
