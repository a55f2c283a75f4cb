# SPDX-License-Identifier: Apache-2.0
"""A certificate for this machine's loopback address, from an authority that lives as long as what runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """
    Files in PEM form.

    :param authority: Whom clients are to trust.
    :param certificate: The server's certificate.
    :param private_key: Its private key.
    """

    authority: Path
    certificate: Path
    private_key: Path


def write_certificates(folder: Path) -> Certificates:
    """
    Make an authority and a certificate for ``127.0.0.1`` (both with elliptic curves, as most servers have today).

    :param folder: Where the files go; its owner should be the only one who may read it.
    :return: The files.
    """
    files = Certificates(folder / "authority.pem", folder / "certificate.pem", folder / "private_key.pem")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(files.authority))
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(files.private_key))
    return files
