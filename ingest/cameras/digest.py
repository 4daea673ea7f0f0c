"""Digest authentication as IP cameras do it: MD5 without qop (RFC 2617 section 3.2, RFC 2069)."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

REALM = "camera"
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Login:
    """User and password of a camera."""

    user: str
    password: str = field(repr=False)


def new_nonce() -> str:
    """A nonce for one connection."""
    return secrets.token_hex(16)


def challenge(nonce: str) -> str:
    """Value of WWW-Authenticate."""
    return f'Digest realm="{REALM}", nonce="{nonce}", algorithm="MD5"'


def response(login: Login, nonce: str, method: str, uri: str) -> str:
    """The digest that proves the password for one request."""
    secret = _md5(f"{login.user}:{REALM}:{login.password}")
    return _md5(f"{secret}:{nonce}:{_md5(f'{method}:{uri}')}")


def authorization(login: Login, nonce: str, method: str, uri: str) -> str:
    """Value of Authorization, as a client sends it."""
    answer = response(login, nonce, method, uri)
    return f'Digest username="{login.user}", realm="{REALM}", nonce="{nonce}", uri="{uri}", response="{answer}"'


def accepts(header: str, login: Login, nonce: str, method: str, uri: str) -> bool:
    """Whether an Authorization header proves the login for this request; compares in constant time."""
    scheme, _, rest = header.partition(" ")
    fields = {name.lower(): quoted or plain for name, quoted, plain in _FIELD.findall(rest)}
    expected = response(login, nonce, method, uri)
    pairs = [("username", login.user), ("nonce", nonce), ("uri", uri), ("response", expected)]
    checks = [_same(fields.get(name, ""), value) for name, value in pairs]
    return scheme.lower() == "digest" and all(checks)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
