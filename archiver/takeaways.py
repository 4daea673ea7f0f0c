"""Verifies exported files against the index that was written with them. It needs nothing else of the archive: the index
says what was handed out; that it came from a sealed capture is what the seal proves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archiver import canonical
from archiver.documents import Fields
from archiver.exporting import INDEX
from archiver.values import Check, Finding, Verification
from archiver.vocabulary import FindingCode, Severity


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the folder: its size in bytes and its digest."""

    size: int
    digest: str


CHECKS = (
    ("every listed file is there", (FindingCode.SEGMENT_MISSING,)),
    ("every listed file is whole", (FindingCode.SEGMENT_TRUNCATED,)),
    ("every listed file has its digest", (FindingCode.SEGMENT_DIGEST,)),
    ("no other file is there", (FindingCode.SEGMENT_UNLISTED,)),
)


def verify(index: bytes, found: Mapping[str, Found]) -> Verification:
    """Compare the files of a folder (by name, the index left out) with its index. FormatError if that is none."""
    fields = Fields.versioned(INDEX, canonical.decode(index))
    listed = {each.text("name"): Found(each.integer("size"), each.text("sha256")) for each in fields.inners("files")}
    findings = [finding for name, wanted in listed.items() if (finding := _compared(name, wanted, found.get(name)))]
    findings += [
        _finding(FindingCode.SEGMENT_UNLISTED, name, "no such file", found[name].digest)
        for name in sorted(found.keys() - listed.keys())
    ]
    codes = {finding.code for finding in findings}
    checks = [Check(number, name, codes.isdisjoint(bad)) for number, (name, bad) in enumerate(CHECKS, 1)]
    return Verification(not findings, tuple(checks), tuple(findings))


def _compared(name: str, wanted: Found, there: Found | None) -> Finding | None:
    if there is None:
        return _finding(FindingCode.SEGMENT_MISSING, name, wanted.digest, "no such file")
    if there.size < wanted.size:
        return _finding(FindingCode.SEGMENT_TRUNCATED, name, f"{wanted.size} bytes", f"{there.size} bytes")
    if there.digest != wanted.digest:
        return _finding(FindingCode.SEGMENT_DIGEST, name, wanted.digest, there.digest)
    return None


def _finding(code: FindingCode, name: str, expected: str, found: str) -> Finding:
    return Finding(code, Severity.ERROR, name, expected, found)
