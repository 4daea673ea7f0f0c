"""The catalogue's tables. The migrations make them; a test compares the two.

Fact rows (projects, locations, sources, policies, captures, outages, seals, tokens) are written by projection.py alone.
"""

from typing import Any

import sqlalchemy as sa

from archiver.adapters.catalogue.columns import Bytes, Flag, Id, Json, Utc, Whole, Words

REVISION = "0001"
"""The last migration: what `check` expects to find."""

metadata = sa.MetaData()


def _table(name: str, *parts: sa.Column[Any] | sa.Constraint | sa.Index) -> sa.Table:
    return sa.Table(name, metadata, *parts, sqlite_strict=True)


def _must(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=False)


def _may(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=True)


def _key(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, primary_key=True, nullable=False)


# ------------------------------------------------------------------ facts

project = _table(
    "project",
    _key("id", Id),
    _must("organisation", Id),
    _must("number", Words),
    _must("title", Words),
    _may("buyer", Words),
    _may("method", Words),
    _must("lots", Json),
    _may("end_day", Id),  # YYYY-MM-DD
    _may("end_basis", Words),
    _may("end_document", Words),
    _may("end_signer", Words),
    sa.Index("project_page", "organisation", "id"),
)

location = _table(
    "location",
    _key("id", Id),
    _must("organisation", Id),
    _must("site", Id),
    _must("name", Words),
    sa.Index("location_page", "organisation", "id"),
)

source = _table(
    "source",
    _key("id", Id),
    _must("organisation", Id),
    _must("site", Id),
    sa.Column("location", Id, sa.ForeignKey("location.id"), nullable=False),
    _must("name", Words),
    _must("address", Words),
    _must("removed", Flag),
    sa.Index("source_page", "organisation", "id"),
    sa.Index("source_of_location", "location", "id"),
)

policy = _table(
    "policy",
    _key("id", Id),
    sa.Column("version", Whole, primary_key=True, nullable=False, autoincrement=False),
    _must("organisation", Id),
    _must("years", Whole),
    _must("basis", Words),
    _must("effective_from", Utc),
    sa.Index("policy_of_organisation", "organisation"),
)

capture = _table(
    "capture",
    _key("id", Id),
    _must("organisation", Id),
    _must("site", Id),
    sa.Column("project", Id, sa.ForeignKey("project.id"), nullable=False),
    sa.Column("location", Id, sa.ForeignKey("location.id"), nullable=False),
    _must("start_at", Utc),
    _must("end_at", Utc),
    _must("state", Id),
    _may("title", Words),
    _may("stopped_at", Utc),
    _must("revision", Whole),
    _may("retain_until", Utc),
    _may("retain_reason", Words),
    sa.Index("capture_page", "organisation", "start_at", "id", "end_at"),
    sa.Index("capture_of_project", "project", "start_at"),
    sa.Index("capture_of_location", "location", "start_at"),
    sa.Index("capture_in_state", "state", "start_at"),
)

capture_source = _table(
    "capture_source",
    sa.Column("capture", Id, sa.ForeignKey("capture.id"), primary_key=True, nullable=False),
    sa.Column("source", Id, sa.ForeignKey("source.id"), primary_key=True, nullable=False),
    _must("place", Whole),  # the order in which the sources were booked
    _must("start_at", Utc),  # the capture's window again, so that one index answers "touching"
    _must("end_at", Utc),
    sa.Index("capture_source_touching", "source", "end_at", "start_at"),
)

outage = _table(
    "outage",
    _key("event", Id),
    _must("source", Id),
    _must("start_at", Utc),
    _must("end_at", Utc),
    _must("cause", Id),
    _must("evidence", Words),
    _must("worker", Id),
    _must("epoch", Whole),
    sa.Index("outage_touching", "source", "end_at", "start_at"),
)

seal = _table(
    "seal",
    sa.Column("capture", Id, sa.ForeignKey("capture.id"), primary_key=True, nullable=False),
    sa.Column("revision", Whole, primary_key=True, nullable=False, autoincrement=False),
    _must("key", Id),
    _must("digest", Id),
    _must("merkle_root", Id),
    _must("signer", Id),
    _must("sealed_at", Utc),
    _must("recorded_us", Whole),
    _must("missing_us", Whole),
)

token = _table(
    "token",
    _key("id", Id),
    _must("organisation", Id),
    _must("name", Words),
    _must("role", Id),
    sa.Column("digest", Id, nullable=False),
    _must("created_at", Utc),
    _may("expires_at", Utc),
    _may("revoked_at", Utc),
    sa.Index("token_digest", "digest", unique=True),
    sa.Index("token_of_organisation", "organisation", "id"),
)

# ------------------------------------------------------------------ events

event = _table(
    "event",
    sa.Column("position", Whole, primary_key=True, nullable=False, autoincrement=True),
    _must("id", Id),
    _must("subject", Id),
    _must("seq", Whole),
    _must("type", Id),
    _must("time", Utc),
    _must("hash", Id),
    _must("document", Json),  # the whole event, with what a later program may have put in it
    _must("urgent", Flag),
    sa.Column("batch", Id, sa.ForeignKey("batch.id"), nullable=True),
    sa.Index("event_id", "id", unique=True),
    sa.Index("event_chain", "subject", "seq", unique=True),
    sa.Index("event_batch", "batch", "position"),
)

chain_head = _table(
    "chain_head",
    _key("subject", Id),
    _must("seq", Whole),
    _must("hash", Id),
)

batch = _table(
    "batch",
    _key("id", Id),
    _must("number", Whole),
    _may("previous", Id),  # digest of the batch before
    _may("digest", Id),  # None until the vault has it
    sa.Index("batch_number", "number", unique=True),
)

checkpoint = _table(
    "checkpoint",
    sa.Column("number", Whole, primary_key=True, nullable=False, autoincrement=False),
    _must("digest", Id),
)

# ------------------------------------------------------------------ footage

recording = _table(
    "recording",
    _key("id", Id),
    _must("organisation", Id),
    _must("site", Id),
    _must("source", Id),
    _must("duty", Id),
    _must("worker", Id),
    _must("epoch", Whole),
    _must("opened_at", Utc),
    _may("segments", Whole),
    _may("ended_at", Utc),  # known once it is closed and every segment is deposited
    sa.Index("recording_touching", "source", "opened_at", "ended_at"),
)

segment = _table(
    "segment",
    _key("key", Id),
    _must("version", Id),
    _must("size", Whole),
    _must("digest", Id),
    _must("sidecar_digest", Id),
    _must("organisation", Id),
    _must("site", Id),
    _must("location", Id),
    _must("source", Id),
    _must("recording", Id),
    _must("seq", Whole),
    _must("worker", Id),
    _must("epoch", Whole),
    _must("container", Id),
    _must("codecs", Id),
    _must("init_size", Whole),
    _must("init_digest", Id),
    _must("start_at", Utc),
    _must("end_at", Utc),
    _must("length_us", Whole),
    _must("media_start", Whole),
    _must("media_end", Whole),
    _must("timescale", Whole),
    _must("end_cause", Id),
    _must("derived", Flag),
    _must("retain_until", Utc),
    _must("deposited_at", Utc),
    sa.Index("segment_place", "source", "start_at"),
    sa.Index("segment_of_recording", "recording", "seq", unique=True),
    sa.Index("segment_longest", "source", "length_us"),
)

fragment_index = _table(
    "fragment_index",
    sa.Column("segment", Id, sa.ForeignKey("segment.key"), primary_key=True, nullable=False),
    _must("packed", Bytes),
)

seal_segment = _table(
    "seal_segment",
    _key("segment", Id),
    _key("capture", Id),
    sa.Column("revision", Whole, primary_key=True, nullable=False, autoincrement=False),
)

rendition = _table(
    "rendition",
    _key("made_of", Id),
    _key("profile", Id),
    _must("path", Words),
    _must("digest", Id),
    _must("size", Whole),
)

# ------------------------------------------------------------------ work

duty = _table(
    "duty",
    _key("id", Id),
    _must("organisation", Id),
    _must("site", Id),
    _must("location", Id),
    _must("source", Id),
    _must("start_at", Utc),
    _must("end_at", Utc),
    _must("state", Id),
    _must("epoch", Whole),
    _may("worker", Id),
    _may("lease_until", Utc),  # by this database's clock
    sa.Index("duty_of_source", "source", "end_at", "start_at"),
    sa.Index("duty_due", "site", "state", "start_at"),
)

job = _table(
    "job",
    _key("id", Id),
    _must("name", Id),
    _must("state", Id),
    _must("arguments", Json),
    _must("created_at", Utc),
    _must("done", Whole),
    _may("total", Whole),
    _must("attempts", Whole),
    _may("error", Words),
    _may("result", Json),
)

# ------------------------------------------------------------------ what is not kept in the vault

sealed_address = _table(
    "sealed_address",
    sa.Column("source", Id, sa.ForeignKey("source.id"), primary_key=True, nullable=False),
    _must("sealed", Bytes),
)

view = _table(
    "view",
    _key("id", Id),
    _must("principal_id", Id),
    _must("principal", Json),
    _must("capture", Id),
    _must("source", Id),
    _must("opened_at", Utc),
    _must("last_at", Utc),
    _must("ranges", Json),
    sa.Index("view_of_principal", "principal_id", "capture", "source"),
    sa.Index("view_idle", "last_at"),
)

request = _table(
    "request",
    _key("principal", Id),
    _key("key", Id),
    _must("digest", Id),
    _must("made", Id),
)

# ------------------------------------------------------------------ search

search_document = _table(
    "search_document",
    sa.Column("number", Whole, primary_key=True, nullable=False, autoincrement=True),
    sa.Column("capture", Id, sa.ForeignKey("capture.id"), nullable=False),
    _must("body", Words),  # all its texts, as words.body makes it
    sa.Index("search_document_capture", "capture", unique=True),
)

FACTS = (project, location, source, policy, capture, capture_source, outage, seal, token, chain_head, search_document)
"""What a replay of every event makes again, to the byte."""
