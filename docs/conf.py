# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the site: `make docs`."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# The reference imports the package, and Airflow with it, which would make a home for itself.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-of-the-docs-")

from airflow_provider_alchemy import __version__

project = "airflow-provider-alchemy"
author = "the airflow-provider-alchemy maintainers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's own name
release = version = __version__
REPOSITORY = "https://github.com/airflow-provider-alchemy/airflow-provider-alchemy"

extensions = ["myst_parser", "sphinx.ext.autodoc", "reference"]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "substitution"]
myst_heading_anchors = 4
nitpicky = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}

# Pages that stand at the top of the repository, where people look for them: the site has copies with its own links.
PROJECT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def site_link(match: re.Match[str]) -> str:
    target = match[1]
    if target.startswith(("https://", "#")):
        return match[0]
    if target.startswith("docs/"):
        return f"]({target.removeprefix('docs/')})"
    page, _, anchor = target.partition("#")
    own = page.lower() if page in PROJECT_PAGES else "index.md" if page == "README.md" else ""
    return f"]({own}{'#' + anchor if anchor else ''})" if own else f"]({REPOSITORY}/blob/main/{target})"


for name in PROJECT_PAGES:
    text = (HERE.parent / name).read_text(encoding="utf-8")
    (HERE / name.lower()).write_text(re.sub(r"\]\(([^)\s]+)\)", site_link, text), encoding="utf-8")

html_theme = "furo"
html_title = f"airflow-provider-alchemy {release}"
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}
