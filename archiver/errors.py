"""Every error that the archive raises on purpose: one tree, stable codes.

A message says what happened, to what, and what to do. `code` is stable and is what scripts and the API's
problem documents rely on;
`exit_code` is what the command line returns for it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime


class ArchiverError(Exception):
    """Root of the tree. `errors` maps a field of the input to what is wrong with it."""

    code = "ARCHIVER"
    exit_code = 1

    def __init__(self, message: str, *, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = dict(errors or {})


class InputError(ArchiverError):
    """Bad usage or bad input: `errors` names the field and what is allowed."""

    code = "INVALID_INPUT"
    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown, missing or not allowed."""

    code = "INVALID_SETTING"


class MediaError(ArchiverError):
    """Bytes that are not the media they claim to be."""

    code = "MEDIA_UNREADABLE"


class MixedFormatsError(ArchiverError):
    """One file was asked of recordings whose codec parameters differ; `parts` are the ranges that can be had."""

    code = "MIXED_FORMATS"

    def __init__(self, message: str, parts: Sequence[tuple[datetime, datetime]] = ()) -> None:
        super().__init__(message)
        self.parts = tuple(parts)


class FormatError(ArchiverError):
    """A stored document (sidecar, manifest, event, batch) that can't be read: damaged, or of a later version."""

    code = "FORMAT"


class NotFoundError(ArchiverError):
    """No such project, location, source, capture, job or object."""

    code = "NOT_FOUND"
    exit_code = 3


class RefusedError(ArchiverError):
    """Not allowed: by role, by retention, by a hold, or by an address rule."""

    code = "REFUSED"
    exit_code = 4


class UnauthenticatedError(RefusedError):
    """No token, or one that isn't known."""

    code = "UNAUTHENTICATED"


class ForbiddenError(RefusedError):
    """The principal's role doesn't have the permission."""

    code = "FORBIDDEN"


class AddressError(RefusedError):
    """A source address outside the allowed schemes or networks."""

    code = "ADDRESS_REFUSED"


class RetentionError(RefusedError):
    """An object is kept: its date has not come, or something holds it."""

    code = "RETAINED"


class ConflictError(RefusedError):
    """The thing's state doesn't allow that (a sealed capture can't be extended, a key was used for another
    request).
    """

    code = "CONFLICT"


class StateError(ConflictError):
    """A transition that the lifecycle's table doesn't have."""

    code = "STATE"


class TamperError(ArchiverError):
    """Stored bytes differ from what was acknowledged. Never repaired in silence."""

    code = "TAMPERED"


class UnavailableError(ArchiverError):
    """Can't be done now (database, vault or camera away, disk full); trying again may succeed."""

    code = "UNAVAILABLE"
    exit_code = 5


class CatalogueUnavailableError(UnavailableError):
    """The catalogue's database doesn't answer."""

    code = "CATALOGUE_UNAVAILABLE"


class VaultUnavailableError(UnavailableError):
    """The vault doesn't answer, or has no room."""

    code = "VAULT_UNAVAILABLE"


class SourceUnavailableError(UnavailableError):
    """A camera or microphone doesn't answer, or refuses us."""

    code = "SOURCE_UNAVAILABLE"


class ProgramError(UnavailableError):
    """A program that the archive needs is missing or failed (ffmpeg, openssl)."""

    code = "PROGRAM"
