"""Sessions of the page: a cookie that names a token by its digest and ends by itself, sealed with the server's key."""

import hmac
from datetime import datetime, timedelta
from hashlib import sha256

COOKIE = "archiver_session"
LASTS = timedelta(hours=12)


def make(key: bytes, token_digest: str, now: datetime) -> str:
    """The cookie's value for the token with that digest."""
    body = f"{token_digest.removeprefix('sha256:')}.{int((now + LASTS).timestamp())}"
    return f"{body}.{_mac(key, body)}"


def token_digest(key: bytes, value: str, now: datetime) -> str | None:
    """The digest of the token behind a cookie; None for one that is not ours or has ended."""
    body, _, mac = value.rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(key, body).encode()):
        return None
    digest, _, until = body.partition(".")
    return f"sha256:{digest}" if int(until) > now.timestamp() else None


def _mac(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), sha256).hexdigest()
