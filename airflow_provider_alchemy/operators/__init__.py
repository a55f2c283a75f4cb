# SPDX-License-Identifier: Apache-2.0
"""Tasks that make Alchemy do something."""
