# SPDX-License-Identifier: Apache-2.0
"""The audit of the pins: weaknesses fail it, and what was not audited never looks as if it had been."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from dev.tools.audit import (
    ACCEPTED,
    Acceptance,
    AuditError,
    Report,
    ServiceError,
    Weakness,
    main,
    read_accepted,
    read_report,
    weigh,
)
from tests.packaging.advisories import Advisories, serve_advisories

WEAK = {
    "id": "GHSA-5h86-8mv2-jq9f",
    "aliases": ["CVE-2024-23334"],
    "fixed_in": ["3.9.2"],
    "summary": "aiohttp is vulnerable to directory traversal",
    "withdrawn": None,
}
PINS = "aiohttp==3.9.1\nyarl==1.9.4\n"
TODAY = date(2026, 11, 23)

Audit = Callable[..., tuple[int, str]]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Advisories]:
    """Give PyPI's place, which knows both pins and nothing bad of them."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("pypi.org").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    with serve_advisories(tls) as advisories:
        advisories.known = {"aiohttp": [], "yarl": []}
        monkeypatch.setenv("HTTPS_PROXY", advisories.url)
        yield advisories


@pytest.fixture
def audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Run the audit of two pins; give its exit status and all that it has said."""

    def run(*options: str, pins: str = PINS, accepted: str = "") -> tuple[int, str]:
        (tmp_path / "pins.txt").write_text(pins, encoding="utf-8")
        (tmp_path / "accepted.toml").write_text(accepted, encoding="utf-8")
        files = ["--pins", str(tmp_path / "pins.txt"), "--accepted", str(tmp_path / "accepted.toml")]
        status = main([*files, *options])
        return status, "".join(capsys.readouterr())

    return run


@pytest.mark.integration
@pytest.mark.dag_run
class TestWithPipAudit:
    def test_a_known_weakness_fails_and_names_the_fixed_version(self, service: Advisories, audit: Audit) -> None:
        service.known["aiohttp"] = [WEAK]
        status, said = audit()
        assert status == 1
        assert "aiohttp 3.9.1: CVE-2024-23334 (GHSA-5h86-8mv2-jq9f), fixed in 3.9.2" in said
        assert "NOT AUDITED" not in said

    @pytest.mark.usefixtures("service")
    def test_a_clean_audit_says_how_many_packages_it_was(self, audit: Audit) -> None:
        assert audit() == (0, "Audited 2 packages: no open weakness is known.\n")

    @pytest.mark.parametrize(("options", "expected"), [([], 1), (["--allow-unaudited"], 0)])
    def test_packages_that_the_service_does_not_know_are_not_audited(
        self, service: Advisories, audit: Audit, options: list[str], expected: int
    ) -> None:
        del service.known["yarl"]
        status, said = audit(*options)
        assert status == expected
        assert "Audited 1 packages" in said
        assert "NOT AUDITED: the advisory service does not know 1 of 2 packages: yarl. Run `make audit`" in said

    def test_where_no_package_is_known_nothing_is_said_to_be_audited(self, service: Advisories, audit: Audit) -> None:
        service.known.clear()
        status, said = audit()
        assert status == 1
        assert said.startswith("NOT AUDITED: ")

    def test_a_weakness_fails_also_where_unaudited_packages_may_pass(self, service: Advisories, audit: Audit) -> None:
        service.known = {"aiohttp": [WEAK]}
        status, said = audit("--allow-unaudited")
        assert status == 1
        assert "KNOWN WEAKNESSES: 1" in said
        assert "NOT AUDITED: " in said

    @pytest.mark.parametrize(("options", "expected"), [([], 1), (["--allow-unaudited"], 0)])
    def test_a_service_out_of_reach_is_no_clean_audit(
        self, audit: Audit, monkeypatch: pytest.MonkeyPatch, options: list[str], expected: int
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            closed = nobody.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:pa55word@127.0.0.1:{closed}")
        status, said = audit(*options)
        assert status == expected
        assert said.startswith("NOT AUDITED: the advisory service gave no answer: ")
        assert "pa55word" not in said

    def test_a_service_that_fails_is_no_clean_audit(self, service: Advisories, audit: Audit) -> None:
        service.status = 403
        status, said = audit()
        assert status == 1
        assert "NOT AUDITED" in said
        assert "403" in said

    def test_a_silent_service_holds_the_audit_up_for_a_limited_time(self, service: Advisories, audit: Audit) -> None:
        service.is_silent = True
        status, said = audit("--limit-seconds", "4")
        assert status == 1
        assert said.startswith("NOT AUDITED: the advisory service took more than 4 s.")

    @pytest.mark.parametrize("pins", ["no version\n", "aiohttp\n", ""], ids=["no requirement", "no version", "empty"])
    def test_pins_that_are_none_fail_also_where_unaudited_ones_may_pass(self, audit: Audit, pins: str) -> None:
        status, said = audit("--allow-unaudited", pins=pins)
        assert status == 2
        assert "pins.txt" in said

    def test_an_accepted_weakness_passes_until_its_day(self, service: Advisories, audit: Audit) -> None:
        service.known["aiohttp"] = [WEAK]
        status, said = audit(accepted='GHSA-5h86-8mv2-jq9f = { until = 9999-12-31, reason = "serves no files" }')
        assert status == 0
        assert "Accepted until 9999-12-31: aiohttp 3.9.1: CVE-2024-23334" in said
        assert "(serves no files)" in said

    def test_after_its_day_it_fails_again(self, service: Advisories, audit: Audit) -> None:
        service.known["aiohttp"] = [WEAK]
        status, said = audit(accepted='CVE-2024-23334 = { until = 2026-01-01, reason = "serves no files" }')
        assert status == 1
        assert "Accepted only until 2026-01-01: CVE-2024-23334" in said


@pytest.mark.parametrize(
    "text", ["", "No known vulnerabilities found", "{}", '{"dependencies": [{"name": "yarl"}]}', "[]", "null"]
)
def test_what_is_no_report_is_no_audit(text: str) -> None:
    with pytest.raises(ServiceError):
        read_report(text)


def report(*weaknesses: Weakness, unknown: tuple[str, ...] = ()) -> Report:
    return Report(audited=1, unknown=unknown, weaknesses=weaknesses)


FOUND = Weakness(package="aiohttp 3.9.1", ids=("GHSA-1", "CVE-1"), fixed_in=())


@pytest.mark.parametrize("advisory", FOUND.ids)
@pytest.mark.parametrize(("days", "is_open"), [(-1, True), (0, False), (1, False)])
def test_an_acceptance_counts_up_to_its_last_day(advisory: str, days: int, is_open: bool) -> None:
    weaknesses, said = weigh(report(FOUND), [Acceptance(advisory, "a reason", TODAY + timedelta(days=days))], TODAY)
    assert weaknesses == ([FOUND] if is_open else [])
    assert "a reason" in said[0]


def test_an_acceptance_of_another_advisory_accepts_nothing_and_may_go() -> None:
    weaknesses, said = weigh(report(FOUND), [Acceptance("GHSA-2", "a reason", TODAY)], TODAY)
    assert weaknesses == [FOUND]
    assert said == ["No longer met, its line can go: GHSA-2"]


def test_an_acceptance_stays_where_packages_were_not_audited() -> None:
    assert weigh(report(unknown=("yarl",)), [Acceptance("GHSA-2", "a reason", TODAY)], TODAY) == ([], [])


def test_a_weakness_without_a_fixed_version_says_so() -> None:
    assert str(FOUND) == "aiohttp 3.9.1: GHSA-1 (CVE-1), fixed in no version yet"


@pytest.mark.parametrize(
    "line",
    [
        "GHSA-1 = { until = 2027-01-31 }",
        'GHSA-1 = { until = 2027-01-31, reason = " " }',
        'GHSA-1 = { reason = "a reason" }',
        'GHSA-1 = { until = "soon", reason = "a reason" }',
        'GHSA-1 = "a reason"',
        "GHSA-1",
    ],
)
def test_an_acceptance_needs_a_reason_and_a_last_day(tmp_path: Path, line: str) -> None:
    (tmp_path / "accepted.toml").write_text(line, encoding="utf-8")
    with pytest.raises(AuditError, match=r"accepted\.toml"):
        read_accepted(tmp_path / "accepted.toml")


def test_the_projects_own_file_can_be_read() -> None:
    assert all(line.reason for line in read_accepted(ACCEPTED))


def test_the_form_that_its_comment_shows_is_taken(tmp_path: Path) -> None:
    comment: Any = ACCEPTED.read_text(encoding="utf-8").splitlines()[3].removeprefix("# ")
    (tmp_path / "accepted.toml").write_text(comment, encoding="utf-8")
    (line,) = read_accepted(tmp_path / "accepted.toml")
    assert line.until == date(2027, 1, 31)
