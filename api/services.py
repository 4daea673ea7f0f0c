"""What the routes stand on; built by config.wiring."""

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from archiver.booking import Booking
from archiver.exporting import Exporting
from archiver.inspecting import Inspecting
from archiver.playback import Playback
from archiver.ports import Catalogue, Clock, Shelf, SourceTest, Vault
from archiver.registering import Registering
from archiver.searching import Searching
from archiver.surveying import Surveying
from archiver.tokens import Tokens
from archiver.viewing import Viewing
from retention.ending import Ending


@dataclass(frozen=True, slots=True)
class Services:
    """`session_key`: at least 32 secret bytes, the same for every server. `check_spool` raises UnavailableError.
    `test_source` looks at a source (organisation, id).
    """

    catalogue: Catalogue
    vault: Vault
    clock: Clock
    tokens: Tokens
    registering: Registering
    ending: Ending
    booking: Booking
    surveying: Surveying
    searching: Searching
    playback: Playback
    viewing: Viewing
    exporting: Exporting
    inspecting: Inspecting
    shelf: Shelf
    test_source: Callable[[str, str], SourceTest]
    check_spool: Callable[[], None]
    session_key: bytes
    zone: ZoneInfo
    language: str = "zh"
