"""Requests that are sent twice but must act once (Idempotency-Key)."""

from collections.abc import Callable
from dataclasses import dataclass

from archiver import canonical
from archiver.errors import ConflictError, InputError
from archiver.mistakes import Mistake
from archiver.ports import Transaction
from archiver.values import Json, Principal

MAX_KEY = 100


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and the key under which the same request may come again (None: every request acts)."""

    organisation: str
    principal: Principal
    key: str | None = None

    def __post_init__(self) -> None:
        key = self.key
        if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
            raise InputError("the Idempotency-Key can't be used", errors={"Idempotency-Key": Mistake.KEY_MALFORMED})


def once(tx: Transaction, request: Request, what: Json, act: Callable[[], str]) -> str:
    """The id of what `act` made, or of what the first request with this key made. ConflictError when the key was
    used for something else than `what`.
    """
    if request.key is None:
        return act()
    digest = canonical.digest_of(canonical.encode(dict(what)))
    known = tx.requests.find(request.principal.id, request.key)
    if known is None:
        made = act()
        tx.requests.put(request.principal.id, request.key, digest, made)
        return made
    if known[0] != digest:
        raise ConflictError(Mistake.KEY_REUSED, errors={"Idempotency-Key": Mistake.KEY_REUSED})
    return known[1]
