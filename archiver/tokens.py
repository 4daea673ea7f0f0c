"""API tokens: made, revoked, recognised. The token itself is shown once and kept nowhere but in its holder's hands."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from archiver.errors import InputError, NotFoundError, UnauthenticatedError
from archiver.ids import NewId
from archiver.ports import Catalogue, Clock
from archiver.requests import Request
from archiver.times import to_text
from archiver.values import Draft, Principal, Token
from archiver.vocabulary import EventType, Role

PREFIX = "arc_"
MAX_NAME = 100


def digest_of_token(secret: str) -> str:
    """What the catalogue keeps of a token."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Tokens:
    """`new_secret` gives unguessable text (at least 256 bits)."""

    catalogue: Catalogue
    clock: Clock
    new_id: NewId
    new_secret: Callable[[], str]

    def create(self, request: Request, name: str, role: Role, expires_at: datetime | None = None) -> tuple[Token, str]:
        """A new token and its secret, which can't be shown again. InputError for an empty name or a past expiry."""
        now = self.clock.now()
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise InputError("a token needs a name", errors={"name": f"1 to {MAX_NAME} printable characters"})
        if expires_at is not None and expires_at <= now:
            raise InputError("the token would have expired already", errors={"expires": "a time to come"})
        secret = PREFIX + self.new_secret()
        id = self.new_id()
        payload = {
            "id": id,
            "organisation": request.organisation,
            "name": name.strip(),
            "role": role.value,
            "digest": digest_of_token(secret),
            "expires_at": expires_at and to_text(expires_at),
        }
        with self.catalogue.transaction() as tx:
            tx.events.append(
                Draft("system", EventType.TOKEN_CREATED, now, request.principal, payload, (id,), urgent=True)
            )
            token = tx.tokens.by_digest(payload["digest"] or "")
        if token is None:
            raise NotFoundError(f"token {id} was not kept")
        return token, secret

    def revoke(self, request: Request, id: str) -> Token:
        """From now on the token opens nothing. NotFoundError; revoking twice changes nothing."""
        with self.catalogue.transaction() as tx:
            token = next((one for one in tx.tokens.all(request.organisation) if one.id == id), None)
            if token is None:
                raise NotFoundError(f"there is no token {id}")
            if token.revoked_at is None:
                now = self.clock.now()
                draft = Draft("system", EventType.TOKEN_REVOKED, now, request.principal, {"id": id}, (id,), urgent=True)
                tx.events.append(draft)
            return next(one for one in tx.tokens.all(request.organisation) if one.id == id)

    def list(self, organisation: str) -> Sequence[Token]:
        with self.catalogue.reading() as tx:
            return tx.tokens.all(organisation)

    def recognise(self, secret: str) -> tuple[Token, Principal]:
        """Whose token this is. UnauthenticatedError for an unknown, expired or revoked one, without saying which."""
        return self.recognise_digest(digest_of_token(secret))

    def recognise_digest(self, digest: str) -> tuple[Token, Principal]:
        """The same for a session, which knows its token's digest alone."""
        with self.catalogue.reading() as tx:
            token = tx.tokens.by_digest(digest)
        if token is None or not hmac.compare_digest(token.digest, digest) or not self._alive(token):
            raise UnauthenticatedError(
                "this needs a valid token; the first one lies in the file `token` of the home folder"
            )
        return token, Principal(f"token:{token.id}", "token", token.role)

    def _alive(self, token: Token) -> bool:
        return token.revoked_at is None and (token.expires_at is None or token.expires_at > self.clock.now())
