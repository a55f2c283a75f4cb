# SPDX-License-Identifier: Apache-2.0
"""What is waited for, and how."""
