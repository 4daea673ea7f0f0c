"""Keys of the vault's objects (formats.md): where each document lies, and which keys are of that form."""

import re
from dataclasses import dataclass

from archiver.errors import InputError

EVENTS = "_events"
CHECKPOINTS = "_checkpoints"
CERTIFICATES = "_keys"
CANARY = "_canary"
CAPTURES = "_captures"

MAX_KEY = 1024
MAX_PART = 200
"""A key and its parts may be so long (bytes of UTF-8): every file system and object store takes that."""

_ID = "[0-9a-hjkmnp-tv-z]{26}"
_SITE = "[a-z0-9][a-z0-9-]{0,62}"
_SEGMENT = re.compile(rf"({_SITE})/({_ID})/({_ID})/(\d{{8}})\.(mp4|json)")
_SEAL = re.compile(rf"({_SITE})/{CAPTURES}/({_ID})/seal-([1-9]\d*)\.(json|p7s|tsr-[1-9]\d*)")
_ARCHIVE = re.compile(
    rf"{EVENTS}/{_ID}\.jsonl|{CHECKPOINTS}/[1-9]\d*\.(json|p7s)|{CERTIFICATES}/[0-9a-f]{{64}}\.pem|{CANARY}/.+"
)


def is_safe(key: str) -> bool:
    """Whether `key` is a relative POSIX path of safe parts, not too long for any store."""
    parts = key.split("/")
    try:
        long = len(key.encode()) > MAX_KEY or any(len(part.encode()) > MAX_PART for part in parts)
    except UnicodeEncodeError:
        return False
    return not long and not any(part in ("", ".", "..") or not part.isprintable() or "\\" in part for part in parts)


def check(key: str) -> str:
    """`key` if it is safe; InputError otherwise, whatever store it is meant for."""
    if not is_safe(key):
        raise InputError(
            f"{key[:80]!r} is no key: use a relative path of at most {MAX_KEY} printable bytes, without .."
        )
    return key


@dataclass(frozen=True, slots=True)
class SegmentKey:
    """What the key of a segment (`kind` "mp4") or of its sidecar ("json") says."""

    site: str
    source: str
    recording: str
    seq: int
    kind: str


@dataclass(frozen=True, slots=True)
class SealKey:
    """What the key of a seal's file says; `kind` is json, p7s or tsr-<k>."""

    site: str
    capture: str
    revision: int
    kind: str


def segment(site: str, source: str, recording: str, seq: int) -> str:
    return f"{site}/{source}/{recording}/{seq:08d}.mp4"


def sidecar(segment_key: str) -> str:
    """The key of the sidecar of the segment under `segment_key`."""
    return segment_key.removesuffix(".mp4") + ".json"


def seal(site: str, capture: str, revision: int, kind: str = "json") -> str:
    return f"{site}/{CAPTURES}/{capture}/seal-{revision}.{kind}"


def batch(id: str) -> str:
    return f"{EVENTS}/{id}.jsonl"


def checkpoint(number: int, kind: str = "json") -> str:
    return f"{CHECKPOINTS}/{number}.{kind}"


def certificate(fingerprint: str) -> str:
    return f"{CERTIFICATES}/{fingerprint}.pem"


def parse_segment(key: str) -> SegmentKey | None:
    """None if `key` is not of a segment or sidecar."""
    match = _SEGMENT.fullmatch(key)
    return SegmentKey(match[1], match[2], match[3], int(match[4]), match[5]) if match else None


def parse_seal(key: str) -> SealKey | None:
    """None if `key` is not of a seal's file."""
    match = _SEAL.fullmatch(key)
    return SealKey(match[1], match[2], int(match[3]), match[4]) if match else None


def is_known(key: str) -> bool:
    """Whether `key` has a form of formats.md."""
    return bool(_SEGMENT.fullmatch(key) or _SEAL.fullmatch(key) or _ARCHIVE.fullmatch(key))
