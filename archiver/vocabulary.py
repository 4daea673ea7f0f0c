"""The words of the archive, one for each thing, with their Chinese names. Every face and every stored
document takes them from here.
"""

from enum import StrEnum


class CaptureState(StrEnum):
    """Where a capture stands. The transitions are in archiver.lifecycle."""

    BOOKED = "booked"
    RECORDING = "recording"
    SEALING = "sealing"
    SEALED = "sealed"
    CANCELLED = "cancelled"
    DISPOSED = "disposed"


class DutyState(StrEnum):
    """Where a duty stands: `planned` until a worker first claims it, `ended` when nobody needs to record it
    any more.
    """

    PLANNED = "planned"
    HELD = "held"
    ENDED = "ended"


class JobState(StrEnum):
    """Where a job (work with an end) stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobName(StrEnum):
    """What a job does; config/jobs.py maps each to its use case."""

    START = "start"  # a booked capture's window begins
    END = "end"  # a recorded capture's window is over, post-roll included
    SEAL = "seal"
    BATCH = "batch"  # events and a checkpoint go to the vault
    RENDITION = "rendition"
    EXPORT = "export"
    VERIFY = "verify"
    RENEW = "renew"  # retention dates that may only grow
    TIDY = "tidy"  # what is remembered of jobs that are long done


class GapCause(StrEnum):
    """Why there is no media for a time inside a window."""

    NOT_STARTED = "not_started"
    UNREACHABLE = "unreachable"
    AUTH_FAILED = "auth_failed"
    STALLED = "stalled"
    LOST = "lost"
    PACKET_LOSS = "packet_loss"
    RESTARTED = "restarted"
    HANDOVER = "handover"
    SPOOL_FULL = "spool_full"
    MEDIA_CHANGED = "media_changed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class EventType(StrEnum):
    """What an event states. Readers keep types that they don't know."""

    PROJECT_ADDED = "project.added"
    PROJECT_CHANGED = "project.changed"
    PROJECT_ENDED = "project.ended"
    COMPLAINT_OPENED = "complaint.opened"  # a procurement's complaint was opened again (evidence rule 8)
    COMPLAINT_CLOSED = "complaint.closed"
    LOCATION_ADDED = "location.added"
    LOCATION_CHANGED = "location.changed"
    SOURCE_ADDED = "source.added"
    SOURCE_CHANGED = "source.changed"
    POLICY_SET = "policy.set"
    CAPTURE_BOOKED = "capture.booked"
    CAPTURE_CHANGED = "capture.changed"
    CAPTURE_STARTED = "capture.started"
    CAPTURE_STOPPED = "capture.stopped"
    CAPTURE_CANCELLED = "capture.cancelled"
    CAPTURE_ENDED = "capture.ended"
    CAPTURE_SEALED = "capture.sealed"
    GAP_STATED = "gap.stated"
    FOOTAGE_LATE = "footage.late"
    RETENTION_BOUND = "retention.bound"
    RETENTION_EXTENDED = "retention.extended"
    SEGMENT_VIEWED = "segment.viewed"
    EXPORT_MADE = "export.made"
    VERIFICATION_RUN = "verification.run"
    ACCESS_REFUSED = "access.refused"
    TOKEN_CREATED = "token.created"  # noqa: S105 - the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event
    CLOCK_STEPPED = "clock.stepped"
    CATALOGUE_REBUILT = "catalogue.rebuilt"
    CHAIN_RESUMED = "chain.resumed"
    RENDITION_MADE = "rendition.made"
    TAMPER_FOUND = "tamper.found"


class FindingCode(StrEnum):
    """What a verification can find, in the order of its numbered checks."""

    MANIFEST_MISSING = "MANIFEST_MISSING"
    MANIFEST_EDITED = "MANIFEST_EDITED"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    SIGNER_UNTRUSTED = "SIGNER_UNTRUSTED"
    TIMESTAMP_INVALID = "TIMESTAMP_INVALID"
    TIMESTAMP_PENDING = "TIMESTAMP_PENDING"
    SEGMENT_MISSING = "SEGMENT_MISSING"
    SEGMENT_TRUNCATED = "SEGMENT_TRUNCATED"
    SEGMENT_DIGEST = "SEGMENT_DIGEST"
    SEGMENT_UNLISTED = "SEGMENT_UNLISTED"
    SEGMENT_UNREADABLE = "SEGMENT_UNREADABLE"
    MERKLE_ROOT = "MERKLE_ROOT"
    COMPLETENESS = "COMPLETENESS"
    CUSTODY_BROKEN = "CUSTODY_BROKEN"
    CUSTODY_TRUNCATED = "CUSTODY_TRUNCATED"
    RETENTION_SHORT = "RETENTION_SHORT"
    LOCK_ABSENT = "LOCK_ABSENT"
    VAULT_NOT_WORM = "VAULT_NOT_WORM"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Role(StrEnum):
    """What a principal may do; the permissions of each are in one table of the API."""

    ADMINISTRATOR = "administrator"
    SYSTEM = "system"


class Container(StrEnum):
    """How the bytes are framed. MOV carries G.711 sound, which MP4 as ffmpeg writes it can't."""

    MP4 = "mp4"
    MOV = "mov"


class VaultLabel(StrEnum):
    """What a vault's write-once promise is worth. Shown wherever the vault is."""

    SOFTWARE = "write-once by software"
    WORM = "WORM"
    NOT_WORM = "NOT WORM"


class EndBasis(StrEnum):
    """Which fact ended a procurement (evidence rule 4)."""

    ACCEPTANCE = "acceptance"
    QUERY_REPLY = "query_reply"
    COMPLAINT_DECISION = "complaint_decision"
    TERMINATION = "termination"


CHINESE: dict[str, str] = {
    "project": "项目",
    "location": "地点",
    "source": "音视频源",
    "capture": "采集任务",
    "duty": "值守",
    "recording": "录制",
    "fragment": "片段",
    "segment": "分段",
    "gap": "断录",
    "seal": "封存",
    "event": "留痕",
    "vault": "保管库",
    "catalogue": "目录",
    "rendition": "副本",
    "hold": "冻结",
    "disposal": "销毁",
    "disc": "光盘",
    CaptureState.BOOKED: "已预约",
    CaptureState.RECORDING: "录制中",
    CaptureState.SEALING: "封存中",
    CaptureState.SEALED: "已封存",
    CaptureState.CANCELLED: "已取消",
    CaptureState.DISPOSED: "已销毁",
    GapCause.NOT_STARTED: "未开始",
    GapCause.UNREACHABLE: "无法连接",
    GapCause.AUTH_FAILED: "认证失败",
    GapCause.STALLED: "画面停滞",
    GapCause.LOST: "连接中断",
    GapCause.PACKET_LOSS: "丢包",
    GapCause.RESTARTED: "录制程序重启",
    GapCause.HANDOVER: "值守交接",
    GapCause.SPOOL_FULL: "暂存空间已满",
    GapCause.MEDIA_CHANGED: "编码参数变化",
    GapCause.STOPPED: "人工停止",
    GapCause.UNKNOWN: "原因不明",
    VaultLabel.SOFTWARE: "软件级一次写入",
    VaultLabel.WORM: "WORM(一次写入)",
    VaultLabel.NOT_WORM: "非 WORM",
    EndBasis.ACCEPTANCE: "履约验收",
    EndBasis.QUERY_REPLY: "质疑答复",
    EndBasis.COMPLAINT_DECISION: "投诉处理决定",
    EndBasis.TERMINATION: "采购终止",
}
"""Chinese names of the words, by word or enum value."""
