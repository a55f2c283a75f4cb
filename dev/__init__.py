# SPDX-License-Identifier: Apache-2.0
"""What the project is developed with, and users do not install: local Airflows, the demo, measurements and tools."""
