# SPDX-License-Identifier: Apache-2.0
"""What contracts write into their logs: the events of the token standards, before they are in a block.

Pure functions, written from the standards (ERC-4906, ERC-1155, ERC-721) and not from the code that reads such logs
elsewhere in this package: a mistake there must not be repeated here.
"""

from __future__ import annotations

from typing import NamedTuple

METADATA_UPDATE = "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7"
BATCH_METADATA_UPDATE = "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c"
URI = "0x6bb7ff708619ba0610cba295a58592e0451dee2622938c8755667688daf3529b"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""First topics: the Keccak-256 hash of each event's signature."""

ZERO_ADDRESS = "0x" + "0" * 40
"""Who a minted token comes from."""

_WORD_BYTES = 32


class RawLog(NamedTuple):
    """One log before it has a place on the chain.

    :param contract_address: the contract that writes it, in lower case.
    :param topics: its topics, the event's own first.
    :param data: what is not indexed, as ``0x`` and hex digits.
    """

    contract_address: str
    topics: tuple[str, ...]
    data: str = "0x"


def metadata_update(address: str, token_id: int) -> RawLog:
    """Write ERC-4906's ``MetadataUpdate(uint256)``: the token's id is not indexed."""
    return RawLog(address, (METADATA_UPDATE,), f"0x{_word(token_id)}")


def batch_metadata_update(address: str, first_id: int, last_id: int) -> RawLog:
    """Write ERC-4906's ``BatchMetadataUpdate(uint256,uint256)``: neither id is indexed."""
    return RawLog(address, (BATCH_METADATA_UPDATE,), f"0x{_word(first_id)}{_word(last_id)}")


def uri(address: str, token_id: int, value: str) -> RawLog:
    """Write ERC-1155's ``URI(string,uint256)``: the id is indexed, the text is not."""
    text = value.encode()
    padded = text + b"\0" * (-len(text) % _WORD_BYTES)
    return RawLog(address, (URI, f"0x{_word(token_id)}"), f"0x{_word(_WORD_BYTES)}{_word(len(text))}{padded.hex()}")


def transfer(address: str, token_id: int, sender: str, to: str) -> RawLog:
    """Write ERC-721's ``Transfer(address,address,uint256)``: all three are indexed; from zero it is a mint."""
    return RawLog(address, (TRANSFER, *(f"0x{_word(int(who, 16))}" for who in (sender, to)), f"0x{_word(token_id)}"))


def _word(number: int) -> str:
    return f"{number:064x}"
