# SPDX-License-Identifier: Apache-2.0
"""The README's example of the emulated blockchain, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readmes_chain_does_what_it_says() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (example,) = [block for block in blocks if ".one_block(" in block]
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102 - our own README
    assert isinstance(names["revealed"], tuple)
    assert len(names["revealed"]) == 100
