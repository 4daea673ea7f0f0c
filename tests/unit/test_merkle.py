"""Merkle trees are those of RFC 6962: known answers, every proof holds, and nothing altered passes."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import merkle
from archiver.canonical import digest_of
from archiver.errors import FormatError

LEAVES = [bytes.fromhex(leaf) for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Root over the first 0, 1, 2 ... of LEAVES."""

SOME = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def by_definition(leaves) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = max(1 << bit for bit in range(10) if 1 << bit < len(leaves))
    return sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_known_answers(size):
    """The roots of trees of 0 to 8 leaves."""
    assert merkle.root(LEAVES[:size]) == f"sha256:{ROOTS[size]}"


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_root_is_the_definition(leaves):
    """Trees of any size have the root that the RFC's recursion gives."""
    assert merkle.root(leaves) == f"sha256:{by_definition(leaves).hex()}"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 33])
def test_every_proof_verifies(size):
    """Each leaf of trees of these sizes has a proof that holds at its place and at no other."""
    leaves = [bytes([number]) for number in range(size)]
    root = merkle.root(leaves)
    for at, leaf in enumerate(leaves):
        proof = merkle.prove(leaves, at)
        assert merkle.verify(leaf, at, size, proof, root)
        assert not any(merkle.verify(leaf, other, size, proof, root) for other in range(size) if other != at)


@given(SOME, st.data())
def test_nothing_altered_passes(leaves, data):
    """A changed leaf, place, proof or root is refused."""
    at = data.draw(st.integers(0, len(leaves) - 1))
    proof, root, leaf = merkle.prove(leaves, at), merkle.root(leaves), leaves[at]
    assert merkle.verify(leaf, at, len(leaves), proof, root)
    assert not merkle.verify(leaf + b"x", at, len(leaves), proof, root)
    assert not merkle.verify(leaf, at, len(leaves), proof, digest_of(b"another"))
    assert not merkle.verify(leaf, at, len(leaves), [*proof, digest_of(b"more")], root)
    assert not merkle.verify(leaf, len(leaves), len(leaves), proof, root)
    if proof:
        assert not merkle.verify(leaf, at, len(leaves), proof[:-1], root)
        where = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:where], digest_of(b"other"), *proof[where + 1 :]]
        assert not merkle.verify(leaf, at, len(leaves), changed, root)


@given(SOME, st.data())
def test_any_altered_leaf_changes_the_root(leaves, data):
    """No leaf can change, move or go without the root telling."""
    at = data.draw(st.integers(0, len(leaves) - 1))
    root = merkle.root(leaves)
    assert merkle.root([*leaves[:at], leaves[at] + b"\x01", *leaves[at + 1 :]]) != root
    assert merkle.root(leaves[:at] + leaves[at + 1 :]) != root
    assert merkle.root([*leaves, leaves[at]]) != root


def test_a_node_is_no_leaf():
    """The prefixes of leaf and node keep an inner node from passing as a leaf (second preimage)."""
    left, right = (sha256(b"\x00" + leaf).digest() for leaf in (b"a", b"b"))
    assert merkle.root([left + right]) != merkle.root([b"a", b"b"])


def test_what_is_no_proof_is_refused():
    """Malformed digests and absurd lengths are a FormatError; a place that isn't there an IndexError."""
    root = merkle.root([b"a"])
    with pytest.raises(FormatError):
        merkle.verify(b"a", 0, 1, ["md5:00"], root)
    with pytest.raises(FormatError):
        merkle.verify(b"a", 0, 1, [], "x")
    with pytest.raises(FormatError, match="at most 64"):
        merkle.verify(b"a", 0, 2**70, [root] * 65, root)
    with pytest.raises(IndexError):
        merkle.prove([b"a"], 1)
