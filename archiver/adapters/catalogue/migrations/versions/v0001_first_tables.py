"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Integer()
TEXT = sa.Text()
KEY = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
BLOB = sa.LargeBinary()


def upgrade() -> None:
    _facts()
    _captures()
    _events()
    _footage()
    _work()
    _unkept()
    _search()
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_rules()
    else:
        _postgresql_rules()


def _facts() -> None:
    op.create_table(
        "project",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("number", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("buyer", TEXT, nullable=True),
        sa.Column("method", TEXT, nullable=True),
        sa.Column("lots", TEXT, nullable=False),
        sa.Column("end_day", KEY, nullable=True),
        sa.Column("end_basis", TEXT, nullable=True),
        sa.Column("end_document", TEXT, nullable=True),
        sa.Column("end_signer", TEXT, nullable=True),
        sqlite_strict=True,
    )
    op.create_index("project_page", "project", ["organisation", "id"])
    op.create_table(
        "location",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("site", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("location_page", "location", ["organisation", "id"])
    op.create_table(
        "source",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("site", KEY, nullable=False),
        sa.Column("location", KEY, sa.ForeignKey("location.id"), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("removed", FLAG, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("source_page", "source", ["organisation", "id"])
    op.create_index("source_of_location", "source", ["location", "id"])
    op.create_table(
        "policy",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("version", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("years", INTEGER, nullable=False),
        sa.Column("basis", TEXT, nullable=False),
        sa.Column("effective_from", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("policy_of_organisation", "policy", ["organisation"])


def _captures() -> None:
    op.create_table(
        "capture",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("site", KEY, nullable=False),
        sa.Column("project", KEY, sa.ForeignKey("project.id"), nullable=False),
        sa.Column("location", KEY, sa.ForeignKey("location.id"), nullable=False),
        sa.Column("start_at", INTEGER, nullable=False),
        sa.Column("end_at", INTEGER, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("title", TEXT, nullable=True),
        sa.Column("stopped_at", INTEGER, nullable=True),
        sa.Column("revision", INTEGER, nullable=False),
        sa.Column("retain_until", INTEGER, nullable=True),
        sa.Column("retain_reason", TEXT, nullable=True),
        sqlite_strict=True,
    )
    op.create_index("capture_page", "capture", ["organisation", "start_at", "id", "end_at"])
    op.create_index("capture_of_project", "capture", ["project", "start_at"])
    op.create_index("capture_of_location", "capture", ["location", "start_at"])
    op.create_index("capture_in_state", "capture", ["state", "start_at"])
    op.create_table(
        "capture_source",
        sa.Column("capture", KEY, sa.ForeignKey("capture.id"), primary_key=True),
        sa.Column("source", KEY, sa.ForeignKey("source.id"), primary_key=True),
        sa.Column("place", INTEGER, nullable=False),
        sa.Column("start_at", INTEGER, nullable=False),
        sa.Column("end_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("capture_source_touching", "capture_source", ["source", "end_at", "start_at"])
    op.create_table(
        "outage",
        sa.Column("event", KEY, primary_key=True),
        sa.Column("source", KEY, nullable=False),
        sa.Column("start_at", INTEGER, nullable=False),
        sa.Column("end_at", INTEGER, nullable=False),
        sa.Column("cause", KEY, nullable=False),
        sa.Column("evidence", TEXT, nullable=False),
        sa.Column("worker", KEY, nullable=False),
        sa.Column("epoch", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("outage_touching", "outage", ["source", "end_at", "start_at"])
    op.create_table(
        "seal",
        sa.Column("capture", KEY, sa.ForeignKey("capture.id"), primary_key=True),
        sa.Column("revision", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("merkle_root", KEY, nullable=False),
        sa.Column("signer", KEY, nullable=False),
        sa.Column("sealed_at", INTEGER, nullable=False),
        sa.Column("recorded_us", INTEGER, nullable=False),
        sa.Column("missing_us", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "token",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("expires_at", INTEGER, nullable=True),
        sa.Column("revoked_at", INTEGER, nullable=True),
        sqlite_strict=True,
    )
    op.create_index("token_digest", "token", ["digest"], unique=True)
    op.create_index("token_of_organisation", "token", ["organisation", "id"])


def _events() -> None:
    op.create_table(
        "batch",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("previous", KEY, nullable=True),
        sa.Column("digest", KEY, nullable=True),
        sqlite_strict=True,
    )
    op.create_index("batch_number", "batch", ["number"], unique=True)
    op.create_table(
        "event",
        sa.Column("position", INTEGER, primary_key=True, autoincrement=True),
        sa.Column("id", KEY, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("seq", INTEGER, nullable=False),
        sa.Column("type", KEY, nullable=False),
        sa.Column("time", INTEGER, nullable=False),
        sa.Column("hash", KEY, nullable=False),
        sa.Column("document", TEXT, nullable=False),
        sa.Column("urgent", FLAG, nullable=False),
        sa.Column("batch", KEY, sa.ForeignKey("batch.id"), nullable=True),
        sqlite_strict=True,
    )
    op.create_index("event_id", "event", ["id"], unique=True)
    op.create_index("event_chain", "event", ["subject", "seq"], unique=True)
    op.create_index("event_batch", "event", ["batch", "position"])
    op.create_table(
        "chain_head",
        sa.Column("subject", KEY, primary_key=True),
        sa.Column("seq", INTEGER, nullable=False),
        sa.Column("hash", KEY, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "checkpoint",
        sa.Column("number", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("digest", KEY, nullable=False),
        sqlite_strict=True,
    )


def _footage() -> None:
    op.create_table(
        "recording",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("site", KEY, nullable=False),
        sa.Column("source", KEY, nullable=False),
        sa.Column("duty", KEY, nullable=False),
        sa.Column("worker", KEY, nullable=False),
        sa.Column("epoch", INTEGER, nullable=False),
        sa.Column("opened_at", INTEGER, nullable=False),
        sa.Column("segments", INTEGER, nullable=True),
        sa.Column("ended_at", INTEGER, nullable=True),
        sqlite_strict=True,
    )
    op.create_index("recording_touching", "recording", ["source", "opened_at", "ended_at"])
    op.create_table(
        "segment",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("version", KEY, nullable=False),
        sa.Column("size", INTEGER, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("sidecar_digest", KEY, nullable=False),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("site", KEY, nullable=False),
        sa.Column("location", KEY, nullable=False),
        sa.Column("source", KEY, nullable=False),
        sa.Column("recording", KEY, nullable=False),
        sa.Column("seq", INTEGER, nullable=False),
        sa.Column("worker", KEY, nullable=False),
        sa.Column("epoch", INTEGER, nullable=False),
        sa.Column("container", KEY, nullable=False),
        sa.Column("codecs", KEY, nullable=False),
        sa.Column("init_size", INTEGER, nullable=False),
        sa.Column("init_digest", KEY, nullable=False),
        sa.Column("start_at", INTEGER, nullable=False),
        sa.Column("end_at", INTEGER, nullable=False),
        sa.Column("length_us", INTEGER, nullable=False),
        sa.Column("media_start", INTEGER, nullable=False),
        sa.Column("media_end", INTEGER, nullable=False),
        sa.Column("timescale", INTEGER, nullable=False),
        sa.Column("end_cause", KEY, nullable=False),
        sa.Column("derived", FLAG, nullable=False),
        sa.Column("retain_until", INTEGER, nullable=False),
        sa.Column("deposited_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("segment_place", "segment", ["source", "start_at"])
    op.create_index("segment_of_recording", "segment", ["recording", "seq"], unique=True)
    op.create_index("segment_longest", "segment", ["source", "length_us"])
    op.create_table(
        "fragment_index",
        sa.Column("segment", KEY, sa.ForeignKey("segment.key"), primary_key=True),
        sa.Column("packed", BLOB, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "seal_segment",
        sa.Column("segment", KEY, primary_key=True),
        sa.Column("capture", KEY, primary_key=True),
        sa.Column("revision", INTEGER, primary_key=True, autoincrement=False),
        sqlite_strict=True,
    )
    op.create_table(
        "rendition",
        sa.Column("made_of", KEY, primary_key=True),
        sa.Column("profile", KEY, primary_key=True),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("size", INTEGER, nullable=False),
        sqlite_strict=True,
    )


def _work() -> None:
    op.create_table(
        "duty",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("organisation", KEY, nullable=False),
        sa.Column("site", KEY, nullable=False),
        sa.Column("location", KEY, nullable=False),
        sa.Column("source", KEY, nullable=False),
        sa.Column("start_at", INTEGER, nullable=False),
        sa.Column("end_at", INTEGER, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("epoch", INTEGER, nullable=False),
        sa.Column("worker", KEY, nullable=True),
        sa.Column("lease_until", INTEGER, nullable=True),
        sqlite_strict=True,
    )
    op.create_index("duty_of_source", "duty", ["source", "end_at", "start_at"])
    op.create_index("duty_due", "duty", ["site", "state", "start_at"])
    op.create_table(
        "job",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("name", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("arguments", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("done", INTEGER, nullable=False),
        sa.Column("total", INTEGER, nullable=True),
        sa.Column("attempts", INTEGER, nullable=False),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("result", TEXT, nullable=True),
        sqlite_strict=True,
    )


def _unkept() -> None:
    op.create_table(
        "sealed_address",
        sa.Column("source", KEY, sa.ForeignKey("source.id"), primary_key=True),
        sa.Column("sealed", BLOB, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "view",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("principal_id", KEY, nullable=False),
        sa.Column("principal", TEXT, nullable=False),
        sa.Column("capture", KEY, nullable=False),
        sa.Column("source", KEY, nullable=False),
        sa.Column("opened_at", INTEGER, nullable=False),
        sa.Column("last_at", INTEGER, nullable=False),
        sa.Column("ranges", TEXT, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("view_of_principal", "view", ["principal_id", "capture", "source"])
    op.create_index("view_idle", "view", ["last_at"])
    op.create_table(
        "request",
        sa.Column("principal", KEY, primary_key=True),
        sa.Column("key", KEY, primary_key=True),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("made", KEY, nullable=False),
        sqlite_strict=True,
    )


def _search() -> None:
    op.create_table(
        "search_document",
        sa.Column("number", INTEGER, primary_key=True, autoincrement=True),
        sa.Column("capture", KEY, sa.ForeignKey("capture.id"), nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("search_document_capture", "search_document", ["capture"], unique=True)


def _sqlite_rules() -> None:
    """Events are only ever added, and leave in one batch; the text index follows its rows."""
    for statement in (
        """
        CREATE TRIGGER event_kept BEFORE DELETE ON event
        BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END
        """,
        """
        CREATE TRIGGER event_unchanged BEFORE UPDATE ON event
        WHEN OLD.batch IS NOT NULL OR NEW.batch IS NULL
          OR (OLD.position, OLD.id, OLD.subject, OLD.seq, OLD.type, OLD.time, OLD.hash, OLD.document, OLD.urgent)
          IS NOT (NEW.position, NEW.id, NEW.subject, NEW.seq, NEW.type, NEW.time, NEW.hash, NEW.document, NEW.urgent)
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END
        """,
        """
        CREATE VIRTUAL TABLE search_index USING fts5(
          body, content='search_document', content_rowid='number', tokenize='unicode61 remove_diacritics 0')
        """,
        """
        CREATE TRIGGER search_added AFTER INSERT ON search_document
        BEGIN INSERT INTO search_index (rowid, body) VALUES (NEW.number, NEW.body); END
        """,
        """
        CREATE TRIGGER search_removed AFTER DELETE ON search_document
        BEGIN
          INSERT INTO search_index (search_index, rowid, body) VALUES ('delete', OLD.number, OLD.body);
        END
        """,
        """
        CREATE TRIGGER search_changed AFTER UPDATE ON search_document
        BEGIN
          INSERT INTO search_index (search_index, rowid, body) VALUES ('delete', OLD.number, OLD.body);
          INSERT INTO search_index (rowid, body) VALUES (NEW.number, NEW.body);
        END
        """,
    ):
        op.execute(statement)


def _postgresql_rules() -> None:
    """The same rules as on SQLite."""
    for statement in (
        """
        CREATE FUNCTION event_refused() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'events are never changed' USING ERRCODE = 'integrity_constraint_violation'; END $$
        """,
        """
        CREATE TRIGGER event_kept BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_refused()
        """,
        """
        CREATE TRIGGER event_unchanged BEFORE UPDATE ON event FOR EACH ROW
        WHEN (OLD.batch IS NOT NULL OR NEW.batch IS NULL
          OR (OLD.position, OLD.id, OLD.subject, OLD.seq, OLD.type, OLD.time, OLD.hash, OLD.document, OLD.urgent)
          IS DISTINCT FROM
          (NEW.position, NEW.id, NEW.subject, NEW.seq, NEW.type, NEW.time, NEW.hash, NEW.document, NEW.urgent))
        EXECUTE FUNCTION event_refused()
        """,
        """
        CREATE INDEX search_document_words ON search_document USING gin (to_tsvector('simple', body))
        """,
    ):
        op.execute(statement)
