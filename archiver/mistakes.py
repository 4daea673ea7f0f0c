"""What can be wrong with an input or a request, in words. Faces translate them by their value, so none holds a
variable.
"""

from enum import StrEnum


class Mistake(StrEnum):
    """One thing that a person can put right, and how."""

    REQUIRED = "is required"
    TOO_LONG = "is too long; at most 200 characters"
    CONTROL_CHARACTERS = "must not contain control characters"
    NOT_UTF8 = "must be UTF-8"
    UNKNOWN_PROJECT = "no such project"
    UNKNOWN_LOCATION = "no such location"
    UNKNOWN_SOURCE = "no such source in this location"
    NO_SOURCES = "this location has no sources yet; add a source first"
    NO_OFFSET = "must be a time with an offset, like 2026-11-23T09:00:00+08:00"
    END_NOT_AFTER_START = "must be after the start"
    WINDOW_ENDED = "has passed already; choose an end in the future"
    WINDOW_TOO_LONG = "a window is at most 24 hours long; book a second one"
    WINDOW_TOO_FAR = "is more than a year ahead; check the year"
    END_NOT_LATER = "must be later than the present end"
    PROJECT_ENDED = "this project has ended"
    NOTHING_TO_CHANGE = "says nothing to change"
    ALREADY_BEGUN = "this capture has begun; it can be extended or stopped"
    CANCEL_BEGUN = "this capture has begun; stop it instead"
    NOT_BEGUN = "this capture has not begun; cancel it instead"
    OVER = "this capture is over; it can't be changed any more"
    STOPPED = "this capture was stopped; book another"
    KEY_REUSED = "this Idempotency-Key was used for another request"
    KEY_MALFORMED = "must be 1 to 100 printable ASCII characters"
    ADDRESS_FORM = "must be an address like rtsp://user:password@192.168.1.20:554/stream"
    ADDRESS_SCHEME = "only rtsp:// and rtsps:// are allowed"
    ADDRESS_NETWORK = "its host is outside the networks that the archive may record from"
    ADDRESS_UNRESOLVED = "its host name can't be resolved"
    OUTSIDE_WINDOW = "must lie inside the capture's window, rolls included"
    FORMAT_UNKNOWN = "must be mp4"
    SOURCE_NOT_CAPTURED = "this source is not part of the capture"
    NO_MEDIA = "there is no recording at that time"
    RENDITION_PENDING = "the browser copy of this recording is not ready yet; try again in a minute"
    CURSOR = "is not a cursor that a list gave"
