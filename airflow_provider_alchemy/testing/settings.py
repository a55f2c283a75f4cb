# SPDX-License-Identifier: Apache-2.0
"""The emulated service's switches: the limits of an account, and the behaviours that Alchemy leaves open.

What no document settles (does v2 take the key in a header? does a finished refresh start again?) is a switch here, so
that a client can be tested against either answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_provider_alchemy.testing.checks import AtLeastOne, Count, Seconds, checked_dataclass

ProgressForm = Literal["null", "int", "text", "percent", "empty"]
RangeRefusal = Literal["hint", "plain", "ok", "timeout"]


@checked_dataclass
class Settings:
    """The switches; see Alchemy's API reference, sections on throughput, errors and the NFT API.

    :param units_per_second: throughput units a second, over 10 seconds and the whole account; default 300, the free
        tier's. None: no limit. Below 48, no ``reingestContract`` call (480 units) fits.
    :param retry_after: seconds in the ``Retry-After`` of a 429 for throughput; default None: Alchemy promises none.
    :param monthly_units: compute units after which every call is refused until a reset; default None: no cap.
    :param monthly_status: HTTP status of that refusal, 429 (default) or 403: both were seen.
    :param header_auth_v2: whether the NFT API's v2 paths take the key from the ``Authorization`` header; default yes.
    :param reingest_on_every_network: whether ``reingestContract`` works elsewhere than on ``eth-mainnet``; default no,
        as documented.
    :param reingest_gone: the HTTP status (404, 410, 400) of a retired ``reingestContract``; default None: it is there.
    :param repeated_state: ``already_queued`` (default, what clients see) or ``already_queried`` (what is documented).
    :param after_finished: after ``finished`` was reported, ``report`` (default) it again or ``restart`` with a new job.
    :param progress_form: always ``null``, ``int`` (5), ``text`` ("5", the default and documented), ``percent`` ("5%")
        or always ``empty`` ("").
    :param repeated_refresh: another ``refreshNftMetadata`` for a token within 15 minutes does nothing and is
        ``accepted`` (default) or ``refused`` with 400.
    :param estimate_form: the type of ``estimatedMsToRefresh``, ``int`` (default) or ``text``.
    :param batch_form: ``object`` (default, ``{"nfts": […]}``, which the SDKs read) or ``array``, as documented.
    :param page_size: how many tokens a page of a listing holds at most, whatever the call's ``limit``; default 100.
    :param page_key_form: ``hex`` (default, 0x and 64 digits) or ``decimal``.
    :param last_page_key: ``absent`` (default) or ``null``.
    :param repeat_page_key: whether every page names itself as the next one, so that a listing never ends; default no.
    :param block_seconds: seconds between two blocks; default 12, Ethereum's. None: blocks come on command only.
    :param first_block: the newest block of a network when it is first asked for; default 20,000,000.
    :param max_block_range: how many blocks one ``eth_getLogs`` may span, both ends among them; default None: any
        number. The free tier's is 10.
    :param range_refusal: how more blocks are refused: ``hint`` (default), 400 with a range that works; ``plain``, 400
        without one; ``ok``, status 200 with an error object; ``timeout``, 503 as for a query that took too long. Too
        many logs come with such a range in ``hint`` only.
    :param max_logs: how many logs one answer may have, more are refused with 400; default 10,000. None: any number.
    :param max_addresses: how many contracts one ``eth_getLogs`` may name; default None: any number.
    :param removed_logs: whether answers begin with the logs that reorganisations took away from the asked blocks, with
        ``removed`` true; default no.
    :param lag_blocks: by how many blocks the node is behind that answers every second call of the node API; default 0.
        It knows no block and no log after its own newest one.
    :param lag_form: its answer for logs of later blocks: ``empty`` (default) or ``refused``, 400 and why.
    :param latency_seconds: how much later every answer of the API comes; default 0.
    :param speed: how many times as fast jobs, refreshes, blocks and the 15 minutes between two refreshes are; default
        1.0, real time.
    """

    units_per_second: Annotated[float | None, Field(gt=0)] = 300
    retry_after: Seconds | None = None
    monthly_units: Count | None = None
    monthly_status: Literal[429, 403] = 429
    header_auth_v2: bool = True
    reingest_on_every_network: bool = False
    reingest_gone: Literal[404, 410, 400] | None = None
    repeated_state: Literal["already_queued", "already_queried"] = "already_queued"
    after_finished: Literal["report", "restart"] = "report"
    progress_form: ProgressForm = "text"
    repeated_refresh: Literal["accepted", "refused"] = "accepted"
    estimate_form: Literal["int", "text"] = "int"
    batch_form: Literal["object", "array"] = "object"
    page_size: Annotated[int, Field(ge=1, le=100)] = 100
    page_key_form: Literal["hex", "decimal"] = "hex"
    last_page_key: Literal["absent", "null"] = "absent"
    repeat_page_key: bool = False
    block_seconds: Annotated[float | None, Field(ge=0.001)] = 12.0
    first_block: Count = 20_000_000
    max_block_range: AtLeastOne | None = None
    range_refusal: RangeRefusal = "hint"
    max_logs: AtLeastOne | None = 10_000
    max_addresses: AtLeastOne | None = None
    removed_logs: bool = False
    lag_blocks: Count = 0
    lag_form: Literal["empty", "refused"] = "empty"
    latency_seconds: Seconds = 0.0
    speed: Annotated[float, Field(gt=0)] = 1.0

    @property
    def seconds_between_blocks(self) -> float | None:
        """The real time between two blocks; None where no block comes by itself."""
        return None if self.block_seconds is None else self.block_seconds / self.speed
