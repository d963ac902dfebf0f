"""Why a row of the wide table is slower than another library's, where it is known."""

from collections.abc import Collection
from typing import NamedTuple


class Reason(NamedTuple):
    """A reason, and where it holds.

    Args:
        text: what stands on the page.
        peers: which libraries are faster for it.
        sizes: at which sizes.
        rows: in which rows; none for all.
    """

    text: str
    peers: Collection[str]
    sizes: Collection[int]
    rows: Collection[str] = ()


SMALL, MIDDLE, LARGE = 1_000, 100_000, 10_000_000
ALL = (SMALL, MIDDLE, LARGE)

#: By the letter that stands in the table; the first that holds is given.
REASONS: dict[str, Reason] = {}


def reason_for(row: str, peer: str, size: int) -> str:
    """Give the letter of the reason why a row is slower than a peer's; "" if none is.

    Args:
        row: the name of the row.
        peer: the fastest library.
        size: the number of elements.
    """
    for letter, reason in REASONS.items():
        named = not reason.rows or row in reason.rows
        if named and peer in reason.peers and size in reason.sizes:
            return letter
    return ""
