"""Digest authentication of the virtual cameras."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cameras.digest import Login, accepts, authorization, challenge, new_nonce, response

LOGIN = Login("viewer", "s3cret")
URI = "rtsp://127.0.0.1:554/cam1"


def test_the_digest_is_that_of_the_rfc():
    """MD5(MD5(user:realm:password):nonce:MD5(method:uri)), worked out with md5sum."""
    assert response(LOGIN, "abc", "DESCRIBE", URI) == "d607924525dcba48738df26d1f9e5034"


def test_the_right_login_is_accepted():
    """A header as clients send it, for the same nonce, method and address."""
    assert accepts(authorization(LOGIN, "abc", "PLAY", URI), LOGIN, "abc", "PLAY", URI)


@pytest.mark.parametrize(
    "header",
    [
        authorization(Login("viewer", "wrong"), "abc", "PLAY", URI),
        authorization(Login("other", "s3cret"), "abc", "PLAY", URI),
        authorization(LOGIN, "old", "PLAY", URI),
        authorization(LOGIN, "abc", "SETUP", URI),
        authorization(LOGIN, "abc", "PLAY", URI + "2"),
        authorization(LOGIN, "abc", "PLAY", URI).replace("Digest", "Basic"),
        "",
    ],
    ids=["password", "user", "nonce", "method", "address", "scheme", "none"],
)
def test_anything_else_is_refused(header):
    """Each part of the proof counts."""
    assert not accepts(header, LOGIN, "abc", "PLAY", URI)


@given(st.text(max_size=200))
def test_no_header_is_an_accident(header):
    """Whatever is sent, the answer is no, never an exception."""
    assert not accepts(header, LOGIN, "abc", "PLAY", URI)


def test_each_connection_has_its_own_nonce():
    """A recorded proof is worth nothing on the next connection."""
    nonces = {new_nonce() for _ in range(50)}
    assert len(nonces) == 50
    assert all(nonce in challenge(nonce) for nonce in nonces)


def test_a_login_does_not_print_its_password():
    """Not even by accident, in a log or a traceback."""
    assert "s3cret" not in repr(LOGIN)
