# SPDX-License-Identifier: Apache-2.0
"""
Run what CI runs: ``.ci/run [COMMIT]``, or ``CI_BASE=COMMIT .ci/run``.

That is ``make test`` and the in-process tests on the older Airflows or, where only documents differ from the commit,
what documents need. Without a commit everything runs: no guess about what changed is safe.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.tools.parts import PROJECT, run

EVERYTHING = ("lint", "test-smoke", "test-in-process", "test-matrix")
OF_DOCUMENTS = ("test-docs",)


@dataclass(frozen=True)
class Selection:
    """
    What is to run.

    :param targets: The targets of the parts.
    :param reason: Why these, as a sentence.
    """

    targets: Sequence[str]
    reason: str


class Repository:
    """
    A git repository.

    :param folder: The folder in it whose files count.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, *arguments: str) -> str | None:
        """
        Run a git command that changes nothing.

        :param arguments: Its arguments.
        :return: Its output; None where it failed, or there is no git.
        """
        git = shutil.which("git")
        if git is None:
            return None
        command = [git, "-C", str(self._folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
        return None if done.returncode else done.stdout

    def differing(self, commit: str) -> set[str] | None:
        """
        List the files that differ from a commit now, committed or not; of a renamed one both names.

        :param commit: The commit.
        :return: Their paths below the folder; None where git does not say.
        """
        changed = self.ask("diff", "--name-only", "--no-renames", "--relative", "-z", commit)
        added = self.ask("ls-files", "--others", "--exclude-standard", "-z")
        if changed is None or added is None:
            return None
        return {path for text in (changed, added) for path in text.split("\0") if path}


def is_document(path: str) -> bool:
    """
    Tell whether a file is read by people only.

    :param path: The file, below the project's folder.
    :return: Whether it is a page beside the code, or lies in the folder of the documents.
    """
    return path.startswith("docs/") or ("/" not in path and path.endswith(".md"))


def select(base: str | None, folder: Path = PROJECT) -> Selection:
    """
    Choose what is to run.

    :param base: The commit to compare with, if any is known.
    :param folder: The folder of the project.
    :return: What documents need where nothing else differs from that commit; else everything.
    """
    if not base:
        return Selection(EVERYTHING, "Everything runs: there is no commit to compare with.")
    repository = Repository(folder)
    commit = repository.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    if commit is None:
        return Selection(EVERYTHING, f"Everything runs: {base!r} is not a commit that is known here.")
    if repository.ask("merge-base", "--is-ancestor", commit.strip(), "HEAD") is None:
        return Selection(EVERYTHING, f"Everything runs: {base!r} is not an ancestor of what is checked out.")
    differing = repository.differing(commit.strip())
    if not differing:
        return Selection(EVERYTHING, f"Everything runs: git names no file that differs from {base!r}.")
    code = sorted(path for path in differing if not is_document(path))
    if code:
        others = f" and {len(code) - 1} more" if len(code) > 1 else ""
        return Selection(EVERYTHING, f"Everything runs: {code[0]}{others} changed since {base!r}.")
    return Selection(OF_DOCUMENTS, f"Only documents changed since {base!r}: {', '.join(sorted(differing))}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run what is to run.

    :param arguments: The commit to compare with, if any; None: this process's.
    :return: The exit status.
    """
    given = sys.argv[1:] if arguments is None else arguments
    selection = select(next(iter(given), None))
    print(selection.reason, flush=True)  # noqa: T201 - it is a command
    return run(selection.targets)


if __name__ == "__main__":
    sys.exit(main())
