# SPDX-License-Identifier: Apache-2.0
"""What users get: wheel and sdist, the page about security, and what is known of the packages below."""
