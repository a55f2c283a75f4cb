# SPDX-License-Identifier: Apache-2.0
"""
Ask whether the pinned packages have known weaknesses: ``make audit``, and a part of ``make lint``.

It exists because pip-audit says "No known vulnerabilities found" also of packages that its service knows nothing
about. Here an audit that did not happen never looks like one that did: it fails, or, for people who lint where the
service is out of reach (``--allow-unaudited``), it says so in capitals.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# What `pip install` gives today. The pins of the older Airflows stay as old as these are, and nobody installs them.
PINS = PROJECT / "dev/constraints.txt"
ACCEPTED = PROJECT / "dev/tools" / "accepted_advisories.toml"
SHOWN_PACKAGES = 5


class AuditError(Exception):
    """The audit cannot be done as it was asked for: a file is missing or wrong."""


class ServiceError(Exception):
    """The advisory service gave no answer."""


@dataclass(frozen=True)
class Weakness:
    """
    A known weakness of a pinned package.

    :param package: The package and its pinned version.
    :param ids: The ids of its advisory, in all databases that have one.
    :param fixed_in: The versions that do not have it; empty: none yet.
    """

    package: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        advisory, *aliases = self.ids
        also = f" ({', '.join(aliases)})" if aliases else ""
        return f"{self.package}: {advisory}{also}, fixed in {' or '.join(self.fixed_in) or 'no version yet'}"


@dataclass(frozen=True)
class Acceptance:
    """
    A line of the file of accepted advisories.

    :param advisory: The advisory's id, or one of its other ids.
    :param reason: Why it is no weakness here.
    :param until: The last day of that.
    """

    advisory: str
    reason: str
    until: date


@dataclass(frozen=True)
class Report:
    """
    What pip-audit found out.

    :param audited: How many packages the service knows.
    :param unknown: The packages that it does not know.
    :param weaknesses: All known weaknesses of the others.
    """

    audited: int
    unknown: tuple[str, ...]
    weaknesses: tuple[Weakness, ...]


def read_report(text: str) -> Report:
    """
    Read what pip-audit writes.

    :param text: The JSON of ``pip-audit --format json``.
    :return: The report.
    :raises ServiceError: When it is no such JSON: pip-audit has ended before it had one.
    """
    try:
        packages = json.loads(text)["dependencies"]
        known = [package for package in packages if "skip_reason" not in package]
        return Report(
            audited=len(known),
            unknown=tuple(package["name"] for package in packages if "skip_reason" in package),
            weaknesses=tuple(
                Weakness(
                    package=f"{package['name']} {package['version']}",
                    ids=(found["id"], *found["aliases"]),
                    fixed_in=tuple(found["fix_versions"]),
                )
                for package in known
                for found in package["vulns"]
            ),
        )
    except (ValueError, KeyError, TypeError) as error:
        msg = f"pip-audit has written no report ({error!r})"
        raise ServiceError(msg) from error


def read_accepted(file: Path) -> tuple[Acceptance, ...]:
    """
    Read the file of accepted advisories.

    :param file: A TOML file with a line for each: ``id = { until = <day>, reason = "<text>" }``.
    :return: The acceptances, those that are past too.
    :raises AuditError: When the file is missing, or a line has no reason or no day.
    """
    try:
        lines = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{file} cannot be read: {error}"
        raise AuditError(msg) from error
    return tuple(_acceptance(file, advisory, line) for advisory, line in lines.items())


def _acceptance(file: Path, advisory: str, line: object) -> Acceptance:
    reason, until = (line.get("reason"), line.get("until")) if isinstance(line, Mapping) else (None, None)
    if not isinstance(reason, str) or not reason.strip() or type(until) is not date:
        msg = f'{file}: {advisory} needs a last day and a reason: {advisory} = {{ until = 2027-01-31, reason = "…" }}'
        raise AuditError(msg)
    return Acceptance(advisory, reason, until)


def ask(pins: Path, limit_seconds: float) -> Report:
    """
    Let pip-audit ask its service about each pinned package.

    ``PIP_AUDIT_VULNERABILITY_SERVICE`` and ``PIP_AUDIT_OSV_URL`` name another service than PyPI's.

    :param pins: The requirements file with the pins.
    :param limit_seconds: How long it may take.
    :return: The report.
    :raises AuditError: When the pins cannot be read, or name no package.
    :raises ServiceError: When the service gave no answer, or not in time.
    """
    done = _pip_audit(pins, limit_seconds)
    try:
        report = read_report(done.stdout)
    except ServiceError as error:
        # pip-audit ends in the same way for a wrong file and for a service out of reach: without it, only the first.
        without_service = _pip_audit(pins, limit_seconds, "--dry-run")
        if without_service.returncode:
            msg = f"{pins} cannot be audited: {_last_error(without_service.stderr)}"
            raise AuditError(msg) from error
        msg = f"the advisory service gave no answer: {_last_error(done.stderr)}"
        raise ServiceError(msg) from error
    if not report.audited and not report.unknown:
        msg = f"{pins} names no package"
        raise AuditError(msg)
    return report


def _pip_audit(pins: Path, limit_seconds: float, *more: str) -> subprocess.CompletedProcess[str]:
    # The file is as `uv pip compile` has resolved it: nothing is to be resolved, nor downloaded, again.
    asked = ["--requirement", str(pins), "--no-deps", "--disable-pip", "--aliases", "on", "--desc", "off"]
    written = ["--format", "json", "--output", "-", "--progress-spinner", "off"]
    try:
        return subprocess.run(  # noqa: S603 - our own interpreter with our own arguments
            [sys.executable, "-m", "pip_audit", *asked, *written, *more],
            capture_output=True,
            text=True,
            timeout=limit_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"the advisory service took more than {limit_seconds:g} s"
        raise ServiceError(msg) from error


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|ERROR|Timeout)\w*:", line)]
    # A proxy's password may stand in its URL.
    return re.sub(r"//[^/@\s]+@", "//***@", (errors or lines or ["it did not say why"])[-1])


def weigh(report: Report, accepted: Iterable[Acceptance], today: date) -> tuple[list[Weakness], list[str]]:
    """
    Take the accepted advisories out.

    :param report: What pip-audit found out.
    :param accepted: The accepted advisories.
    :param today: The day of the audit.
    :return: The weaknesses that nobody has accepted, and what is to be said about the acceptances.
    """
    open_ones, said = list(report.weaknesses), []
    for line in accepted:
        met = [weakness for weakness in report.weaknesses if line.advisory in weakness.ids]
        if today > line.until:
            said.append(f"Accepted only until {line.until}: {line.advisory} ({line.reason})")
        elif met:
            open_ones = [weakness for weakness in open_ones if weakness not in met]
            said += [f"Accepted until {line.until}: {weakness} ({line.reason})" for weakness in met]
        elif not report.unknown:
            said.append(f"No longer met, its line can go: {line.advisory}")
    return open_ones, said


def main(argv: Sequence[str] | None = None) -> int:
    """
    Audit the pins, and say how it went.

    :param argv: The command line's arguments; None, the default: those of this process.
    :return: The exit status: 1 for known weaknesses, and for packages that were not audited where that is not
        allowed; 2 where a file is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.tools.audit", description="Look for known weaknesses of the pins."
    )
    parser.add_argument("--pins", type=Path, default=PINS, help="a requirements file with exact versions")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, help="the file of accepted advisories")
    parser.add_argument("--limit-seconds", type=float, default=60.0, help="how long the service may take")
    parser.add_argument("--allow-unaudited", action="store_true", help="go on where the service is out of reach")
    options = parser.parse_args(argv)
    status_of_unaudited = 0 if options.allow_unaudited else 1
    try:
        accepted = read_accepted(options.accepted)
        report = ask(options.pins, options.limit_seconds)
    except AuditError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except ServiceError as error:
        _say(_not_audited(str(error)))
        return status_of_unaudited
    weaknesses, said = weigh(report, accepted, datetime.now(tz=UTC).date())
    _say(*said, *_verdict(report, weaknesses))
    return 1 if weaknesses else status_of_unaudited if report.unknown else 0


def _verdict(report: Report, weaknesses: Sequence[Weakness]) -> Iterable[str]:
    if weaknesses:
        yield f"KNOWN WEAKNESSES: {len(weaknesses)} in the pinned packages"
        yield from (f"  {weakness}" for weakness in weaknesses)
        yield "Pin a fixed version (make constraints), or say why it is none: dev/tools/accepted_advisories.toml."
    elif report.audited:
        yield f"Audited {report.audited} packages: no open weakness is known."
    if report.unknown:
        first = ", ".join(report.unknown[:SHOWN_PACKAGES])
        more = f" and {len(report.unknown) - SHOWN_PACKAGES} more" if len(report.unknown) > SHOWN_PACKAGES else ""
        all_of_them = len(report.unknown) + report.audited
        yield _not_audited(
            f"the advisory service does not know {len(report.unknown)} of {all_of_them} packages: {first}{more}"
        )


def _not_audited(why: str) -> str:
    return f"NOT AUDITED: {why}. Run `make audit` where the advisory service is reachable."


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
