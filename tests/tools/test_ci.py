# SPDX-License-Identifier: Apache-2.0
"""What CI runs: everything, unless it is sure that only documents changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dev.tools.ci import EVERYTHING, OF_DOCUMENTS, select


class Repository:
    """A git repository with code and documents in its first commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        for path in ("README.md", "docs/production.md", "docs/images/a.png", "package/code.py", "package/README.md"):
            self.write(path, "first\n")
        self.first = self.commit()

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)  # noqa: S603 - ours
        return done.stdout.strip()

    def write(self, path: str, text: str = "changed\n") -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        # Set where git itself runs the tests, as a hook does.
        monkeypatch.delenv(variable, raising=False)
    return Repository(tmp_path / "repository")


@pytest.mark.parametrize("path", ["README.md", "NEW.md", "docs/production.md", "docs/images/a.png", "docs/new/b.svg"])
def test_a_change_of_documents_runs_what_documents_need(repository: Repository, path: str) -> None:
    repository.write(path)
    repository.commit()

    selection = select(repository.first, repository.folder)

    assert selection.targets == OF_DOCUMENTS
    assert path in selection.reason


@pytest.mark.parametrize("path", ["package/code.py", "package/README.md", "Makefile", "docs.py", "docs2/a.md"])
def test_a_change_of_anything_else_runs_everything(repository: Repository, path: str) -> None:
    repository.write("README.md")
    repository.write(path)
    repository.commit()

    selection = select(repository.first, repository.folder)

    assert selection.targets == EVERYTHING
    assert path in selection.reason


def test_all_commits_since_the_base_count(repository: Repository) -> None:
    repository.write("package/code.py")
    repository.commit()
    repository.write("README.md")
    repository.commit()

    assert select(repository.first, repository.folder).targets == EVERYTHING
    assert select("HEAD~1", repository.folder).targets == OF_DOCUMENTS


@pytest.mark.parametrize("path", ["package/code.py", "package/new.py"])
def test_what_is_not_committed_counts(repository: Repository, path: str) -> None:
    repository.write("README.md")
    repository.commit()
    repository.write(path)

    assert select(repository.first, repository.folder).targets == EVERYTHING


@pytest.mark.parametrize("path", ["package/code.py", "README.md"])
def test_a_file_that_is_gone_counts(repository: Repository, path: str) -> None:
    (repository.folder / path).unlink()
    repository.commit()

    assert select(repository.first, repository.folder).targets == (OF_DOCUMENTS if path == "README.md" else EVERYTHING)


def test_code_that_was_moved_into_the_documents_counts(repository: Repository) -> None:
    repository.git("mv", "package/code.py", "docs/code.py")
    repository.commit()

    assert select(repository.first, repository.folder).targets == EVERYTHING


@pytest.mark.parametrize("base", [None, ""])
def test_without_a_base_everything_runs(repository: Repository, base: str | None) -> None:
    repository.write("README.md")
    repository.commit()

    assert select(base, repository.folder).targets == EVERYTHING


@pytest.mark.parametrize("base", ["0" * 40, "no-such-branch", "--help", "HEAD:README.md"])
def test_where_the_base_is_unknown_everything_runs_and_it_says_why(repository: Repository, base: str) -> None:
    selection = select(base, repository.folder)

    assert selection.targets == EVERYTHING
    assert "not a commit that is known here" in selection.reason


def test_where_the_base_is_no_ancestor_everything_runs_and_it_says_why(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "other")
    repository.write("README.md")
    other = repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.write("docs/production.md")
    repository.commit()

    selection = select(other, repository.folder)

    assert selection.targets == EVERYTHING
    assert "not an ancestor" in selection.reason


def test_where_nothing_differs_everything_runs(repository: Repository) -> None:
    assert select("HEAD", repository.folder).targets == EVERYTHING


def test_outside_of_a_repository_everything_runs(tmp_path: Path) -> None:
    assert select("HEAD", tmp_path).targets == EVERYTHING


def test_where_there_is_no_git_everything_runs(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository.folder))

    assert select(repository.first, repository.folder).targets == EVERYTHING
