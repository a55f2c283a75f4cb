# SPDX-License-Identifier: Apache-2.0
"""The pages of the documentation as they are read: with the files that they include."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
MADE = {"changelog.md", "contributing.md", "security.md"}
"""Made by conf.py from the pages at the top of the repository."""
PATHS = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts and path.name not in MADE)

_INCLUDE = re.compile(r"^```\{literalinclude\} (\S+)\n:language: (\w+)\n(?::.*\n)*```$", re.MULTILINE)


def page(name: str) -> str:
    """Read a page, with each included file as a block of code."""
    path = DOCS / name
    return _INCLUDE.sub(
        lambda found: f"```{found[2]}\n{(path.parent / found[1]).read_text(encoding='utf-8')}```",
        path.read_text(encoding="utf-8"),
    )


README = (PROJECT / "README.md").read_text(encoding="utf-8")
SITE = "\n".join(page(str(path.relative_to(DOCS))) for path in PATHS)
