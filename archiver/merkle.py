"""Merkle trees (RFC 6962, section 2.1, SHA-256): a root over many leaves, and proofs that one is among them."""

from collections.abc import Sequence
from hashlib import sha256

from archiver.canonical import digest_hex, digest_text
from archiver.errors import FormatError

MAX_PROOF = 64
"""No tree that fits the world has longer proofs."""


def root(leaves: Sequence[bytes]) -> str:
    """The tree's root (`sha256:<hex>`); that of no leaves is SHA-256 of nothing."""
    return digest_text(_root([_leaf(leaf) for leaf in leaves]).hex())


def prove(leaves: Sequence[bytes], at: int) -> list[str]:
    """The digests that lead from leaf number `at` to the root, nearest first (section 2.1.1). IndexError beyond."""
    if not 0 <= at < len(leaves):
        raise IndexError(f"no leaf {at} among {len(leaves)}")
    hashes = [_leaf(leaf) for leaf in leaves]
    return [digest_text(sibling.hex()) for sibling in _path(hashes, at)]


def verify(leaf: bytes, at: int, size: int, proof: Sequence[str], root: str) -> bool:
    """Whether `proof` shows that `leaf` is number `at` of the `size` leaves under `root` (RFC 9162, section 2.1.3.2).

    FormatError for a proof or root that are not digests.
    """
    expected = bytes.fromhex(digest_hex(root))
    siblings = [bytes.fromhex(digest_hex(digest)) for digest in proof]
    if not 0 <= at < size:
        return False
    if len(siblings) > MAX_PROOF:
        raise FormatError(f"a proof of {len(siblings)} digests; at most {MAX_PROOF} are read")
    last, found = size - 1, _leaf(leaf)
    for sibling in siblings:
        if last == 0:
            return False
        if at % 2 or at == last:
            found = _node(sibling, found)
            while at and not at % 2:
                at, last = at // 2, last // 2
        else:
            found = _node(found, sibling)
        at, last = at // 2, last // 2
    return last == 0 and found == expected


def _leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _root(hashes: Sequence[bytes]) -> bytes:
    """Level by level: a hash without a partner moves up as it is, which is the recursive definition's tree."""
    if not hashes:
        return sha256().digest()
    level = list(hashes)
    while len(level) > 1:
        pairs = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def _path(hashes: Sequence[bytes], at: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    split = _split(len(hashes))
    if at < split:
        return [*_path(hashes[:split], at), _root(hashes[split:])]
    return [*_path(hashes[split:], at - split), _root(hashes[:split])]
