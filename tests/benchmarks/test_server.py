# SPDX-License-Identifier: Apache-2.0
"""The service that all sides poll: its three answers, and its counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from dev.benchmarks.polled_service import PolledServiceClient, polled_service
from dev.benchmarks.sides import contract_address
from dev.local_airflow.certificates import Certificates, write_certificates

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def running(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolledServiceClient]:
    with polled_service(certificates, tmp_path_factory.mktemp("service")) as client:
        yield client


@pytest.fixture
def service(running: PolledServiceClient) -> PolledServiceClient:
    running.begin(60.0)
    return running


@pytest.fixture
def session(certificates: Certificates) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        opened.verify = str(certificates.authority)
        yield opened


def reingest(service: PolledServiceClient, session: requests.Session) -> requests.Response:
    query = {"contractAddress": contract_address(7)}
    return session.get(f"{service.url}/nft/v2/any-key/reingestContract", params=query, timeout=300)


def test_alchemys_answer_is_that_of_reingest_contract(service: PolledServiceClient, session: requests.Session) -> None:
    under_way = reingest(service, session).json()
    assert under_way == {"contractAddress": contract_address(7), "reingestionState": "in_progress", "progress": "0"}
    service.begin(0.0)
    assert reingest(service, session).json()["reingestionState"] == "finished"


def test_the_http_answer_is_404_until_the_job_is_done(service: PolledServiceClient, session: requests.Session) -> None:
    assert session.get(f"{service.url}/jobs/7", timeout=300).status_code == 404
    service.begin(0.0)
    assert session.get(f"{service.url}/jobs/7", timeout=300).status_code == 200


def test_dbt_clouds_answer_is_the_state_of_a_run(service: PolledServiceClient, session: requests.Session) -> None:
    url = f"{service.url}/api/v2/accounts/1/runs/7/"
    assert session.get(url, timeout=300).json()["data"] == {"id": 7, "account_id": 1, "status": 3}
    service.begin(0.0)
    assert session.get(url, timeout=300).json()["data"]["status"] == 10


def test_requests_and_the_connections_that_carried_them_are_counted_for_each_side(
    service: PolledServiceClient, session: requests.Session, certificates: Certificates
) -> None:
    for _ in range(5):
        reingest(service, session)
    session.get(f"{service.url}/jobs/7", timeout=300)
    requests.get(f"{service.url}/jobs/8", verify=str(certificates.authority), timeout=300)
    assert service.counters("alchemy") == {"requests": 5, "connections": 1}
    assert service.counters("http") == {"requests": 2, "connections": 2}
    assert service.counters("dbt_cloud") == {"requests": 0, "connections": 0}


def test_a_connection_from_before_counts_again_when_counting_begins_anew(
    service: PolledServiceClient, session: requests.Session
) -> None:
    reingest(service, session)
    service.begin(60.0)
    reingest(service, session)
    assert service.counters("alchemy") == {"requests": 1, "connections": 1}


def test_it_is_trusted_with_its_authority_only(service: PolledServiceClient) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{service.url}/counters", timeout=300)
