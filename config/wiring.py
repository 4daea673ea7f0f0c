"""The one place that builds objects: from settings to drivers to use cases. Nothing is opened before it is used."""

import logging
import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from archiver import keys
from archiver.adapters import authority
from archiver.adapters.catalogue import schema
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.adapters.catalogue.engine import job_engine
from archiver.adapters.clock import SystemClock
from archiver.adapters.copies import CopyFolder
from archiver.adapters.durable import create_file, make_folders
from archiver.adapters.jobs import DbosJobs
from archiver.adapters.jobs import migrate as migrate_jobs
from archiver.adapters.resolver import resolve
from archiver.adapters.secrets import KeySecrets
from archiver.adapters.shelf import FolderShelf
from archiver.adapters.signer import FileSigner, OpenSsl, OpenSslChecker, trust, trusted
from archiver.adapters.vault_local import LocalVault
from archiver.addresses import AddressRule
from archiver.booking import Booking
from archiver.claims import Rolls
from archiver.copies import Copying
from archiver.custody import Custody
from archiver.depositing import Depositing
from archiver.errors import CatalogueUnavailableError, SettingsError, UnavailableError
from archiver.exporting import Exporting
from archiver.ids import make_id
from archiver.inspecting import Inspecting
from archiver.playback import Playback
from archiver.ports import SourceTest, Transaction, Vault
from archiver.readiness import Readiness
from archiver.rebuilding import Rebuilding, Rebuilt
from archiver.registering import Registering
from archiver.requests import Request
from archiver.sealing import Maker, Sealing
from archiver.searching import Searching
from archiver.splicing import Ropes
from archiver.surveying import Surveying
from archiver.tidying import Tidying
from archiver.tokens import Tokens
from archiver.values import ARCHIVE, Capture, Job
from archiver.verifying import Verifying
from archiver.viewing import Viewing
from archiver.vocabulary import JobName, JobState, Role
from config.logs import set_up
from config.profiles import BROWSER
from config.settings import Settings
from ingest.adapters.ffmpeg import find_ffmpeg
from ingest.adapters.pictures import AvPictures
from ingest.adapters.probe import AvProbe
from ingest.adapters.spool import Spools
from ingest.adapters.transcoder import FfmpegTranscoder
from ingest.advancing import Advancing
from ingest.keeper import Depth, depth
from ingest.plans import parse_plan
from ingest.preflight import Tester
from ingest.scheduling import Replanner
from retention.binding import Binding
from retention.due import DueDates
from retention.ending import Ending
from retention.policies import Policies
from retention.renewal import Renewal

log = logging.getLogger(__name__)
LEAST_FREE = 256 * 2**20


def software() -> str:
    """The program's name and version, as seals state it."""
    try:
        return f"archiver {version('archiver')}"
    except PackageNotFoundError:
        return "archiver (checkout)"


class Installation:
    """Everything that a home folder's installation can do."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    # ------------------------------------------------------------- set-up

    def set_up(self, *, anew: bool = False) -> None:
        """Make what is missing: folders, keys, the catalogue's tables, the first token. Any number of processes may
        do so at once. CatalogueUnavailableError if a catalogue was there before, unless another is made `anew`: that
        one has no token yet, since a token is a fact, and `rebuild` takes only facts of the vault.
        """
        os.umask(0o077)
        if not anew and self.has_lost_catalogue():
            raise CatalogueUnavailableError(
                "the catalogue's file is gone: put it back, or make it again from the vault by `archiver rebuild`"
            )
        make_folders(self.settings.home)
        authority.ensure(self._authority, self.settings.archive.organisation, self.clock.now())
        if not self._trusted.exists():
            trust(self._trusted, (self._authority / "ca.pem").read_bytes())
        schema.upgrade(self.settings.catalogue_url)
        migrate_jobs(self.settings.catalogue_url)
        self.secrets  # noqa: B018 - its key must be there before a recorder looks for it
        if not anew:
            self._first_token()

    def has_lost_catalogue(self) -> bool:
        """Whether the catalogue's file is gone from an archive that was in use."""
        if not schema.is_lost(self.settings.catalogue_url):
            return False
        return self.settings.token_file.exists() or any(True for _ in self.vault.list(keys.EVENTS))

    def _first_token(self) -> None:
        """The administrator's token; whoever loses the race throws its own away."""
        if self.settings.token_file.exists():
            return
        request = Request(self.settings.archive.organisation, ARCHIVE)
        token, secret = self.tokens.create(request, "first administrator", Role.ADMINISTRATOR)
        try:
            create_file(self.settings.token_file, f"{secret}\n".encode(), 0o600)
        except FileExistsError:
            self.tokens.revoke(request, token.id)

    def log_to_stderr(self) -> None:
        set_up(self.settings.log.level, self.settings.log.format)

    def close(self) -> None:
        """Give back what is open."""
        for name in ("jobs", "catalogue"):
            if name in self.__dict__:
                self.__dict__[name].close()

    # ------------------------------------------------------------- drivers

    @cached_property
    def clock(self) -> SystemClock:
        return SystemClock()

    def new_id(self) -> str:
        return make_id(self.clock.now(), os.urandom(10))

    @cached_property
    def catalogue(self) -> SqlCatalogue:
        return SqlCatalogue(self.settings.catalogue_url, self.new_id)

    @cached_property
    def vault(self) -> Vault:
        parts = urlsplit(self.settings.vault_url)
        if parts.scheme == "file" and not parts.netloc:
            return LocalVault(Path(unquote(parts.path)), self.clock)
        raise SettingsError(
            f"vault.url {parts.scheme}://… is not a vault that this program can use; file:///folder is",
            errors={"vault.url": "file:///folder"},
        )

    @cached_property
    def secrets(self) -> KeySecrets:
        return KeySecrets(self.settings.keys / "addresses.key")

    @cached_property
    def openssl(self) -> OpenSsl:
        return OpenSsl()

    @cached_property
    def signer(self) -> FileSigner:
        return FileSigner(self._authority, self.openssl)

    @cached_property
    def checker(self) -> OpenSslChecker:
        return OpenSslChecker(self.openssl)

    @cached_property
    def jobs(self) -> DbosJobs:
        return DbosJobs(self.job_engine, self.clock)

    @cached_property
    def job_engine(self) -> sa.Engine:
        return job_engine(self.settings.catalogue_url)

    @cached_property
    def shelf(self) -> FolderShelf:
        return FolderShelf(self.settings.home / "exports")

    def session_key(self) -> bytes:
        """The secret that page sessions are made with, the same for every server of this home."""
        path = self.settings.keys / "session.key"
        with suppress(FileExistsError):
            create_file(path, os.urandom(32), 0o600)
        return path.read_bytes()

    def roots(self) -> bytes:
        """The certificates that this home trusts, PEM."""
        return trusted(self._trusted)

    @property
    def _authority(self) -> Path:
        return self.settings.keys / "authority"

    @property
    def _trusted(self) -> Path:
        return self.settings.keys / "trusted"

    # ------------------------------------------------------------- use cases

    @cached_property
    def rolls(self) -> Rolls:
        ingest = self.settings.ingest
        return Rolls(timedelta(seconds=ingest.pre_roll_s), timedelta(seconds=ingest.post_roll_s))

    @cached_property
    def replan(self) -> Replanner:
        return Replanner(self.rolls.pre, self.rolls.post, self.new_id)

    @cached_property
    def addresses(self) -> AddressRule:
        return AddressRule(networks=self.settings.ingest.allowed_networks)

    @cached_property
    def registering(self) -> Registering:
        site = self.settings.archive.site
        return Registering(self.catalogue, self.clock, self.secrets, self.new_id, self.addresses, resolve, site)

    @cached_property
    def booking(self) -> Booking:
        return Booking(self.catalogue, self.clock, self.new_id, self.replan)

    @cached_property
    def surveying(self) -> Surveying:
        return Surveying(self.catalogue, self.clock)

    @cached_property
    def searching(self) -> Searching:
        return Searching(self.catalogue)

    @cached_property
    def viewing(self) -> Viewing:
        return Viewing(self.catalogue, self.clock, self.new_id)

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.catalogue, self.clock, self.new_id, lambda: secrets.token_urlsafe(32))

    @cached_property
    def binding(self) -> Binding:
        return Binding(self.settings.zone, self.settings.retention.minimum_years)

    @cached_property
    def policies(self) -> Policies:
        return Policies(self.catalogue, self.clock, self.new_id)

    @cached_property
    def ending(self) -> Ending:
        return Ending(self.catalogue, self.clock, self.settings.zone, self._renew_project)

    @cached_property
    def due_dates(self) -> DueDates:
        return DueDates(self.catalogue, self.binding, self.clock)

    @cached_property
    def renewal(self) -> Renewal:
        rolls = self.rolls
        return Renewal(self.catalogue, self.vault, self.binding, self.clock, rolls.pre, rolls.post)

    @cached_property
    def depositing(self) -> Depositing:
        rolls = self.rolls
        return Depositing(self.catalogue, self.vault, self.binding, self.clock, rolls.pre, rolls.post, self._revise)

    @cached_property
    def readiness(self) -> Readiness:
        return Readiness(self.rolls, timedelta(seconds=self.settings.seal.patience_s))

    @cached_property
    def sealing(self) -> Sealing:
        maker = Maker(self.settings.archive.name, software())
        return Sealing(self.catalogue, self.vault, self.binding, self.signer, self.clock, self.readiness, maker)

    @cached_property
    def playback(self) -> Playback:
        return Playback(
            self.catalogue, self.vault, AvPictures(), Ropes(), self.copying, self.rolls.pre, self.rolls.post
        )

    @cached_property
    def copying(self) -> Copying:
        transcoder = FfmpegTranscoder(find_ffmpeg(self.settings.ingest.ffmpeg or None))
        copies = CopyFolder(self.settings.home / "copies")
        return Copying(self.catalogue, self.vault, transcoder, copies, self.jobs, self.clock, self.rolls, BROWSER)

    @cached_property
    def exporting(self) -> Exporting:
        return Exporting(self.catalogue, self.clock, self.new_id, self.jobs, self.playback, self.shelf)

    @cached_property
    def inspecting(self) -> Inspecting:
        return Inspecting(self.catalogue, self.vault, self.jobs, self.new_id)

    @cached_property
    def tidying(self) -> Tidying:
        return Tidying(self.catalogue, self.jobs, self.clock)

    @cached_property
    def custody(self) -> Custody:
        name = self.settings.archive.name
        return Custody(self.catalogue, self.vault, self.binding, self.signer, self.clock, self.new_id, name)

    @cached_property
    def verifying(self) -> Verifying:
        return self.verifying_with(None)

    def verifying_with(self, roots: bytes | None) -> Verifying:
        """`roots` (PEM) instead of those that the home trusts. Without its catalogue a vault is verified by itself."""
        catalogue = None if self.has_lost_catalogue() else self.catalogue
        return Verifying(self.vault, self.checker, self.rolls, roots or self.roots(), catalogue)

    @cached_property
    def rebuilding(self) -> Rebuilding:
        return Rebuilding(self.catalogue, self.vault, self.clock, self.replan)

    @cached_property
    def advancing(self) -> Advancing:
        return Advancing(self.catalogue, self.clock, self.rolls.post)

    def test_source(self, organisation: str, id: str) -> SourceTest:
        """Look at a source for some seconds. Its address never leaves this process."""
        return Tester(AvProbe()).test(self.registering.address(organisation, id))

    # ------------------------------------------------------- what follows from what

    def _revise(self, tx: Transaction, capture: Capture) -> None:
        """Footage came for a sealed capture: a further revision of its seal is due (I13)."""
        key = f"{JobName.SEAL}:{capture.id}:{capture.revision + 1}"
        self.jobs.enqueue(tx, JobName.SEAL, key, {"capture": capture.id})

    def _renew_project(self, tx: Transaction, project: str) -> None:
        """A project ended: the dates and locks of its captures follow."""
        self.jobs.enqueue(tx, JobName.RENEW, f"{JobName.RENEW}:{project}:{self.new_id()}", {"project": project})

    # ------------------------------------------------------------- spool

    @property
    def spools(self) -> Spools:
        return Spools(self.settings.spool)

    def spool_depth(self) -> Depth:
        return depth(self.spools.all())

    def check_spool(self) -> None:
        """UnavailableError when footage may soon find no room."""
        free = shutil.disk_usage(self.settings.home).free
        if free < LEAST_FREE:
            raise UnavailableError(f"the spool's disk has only {free // 2**20} MiB left: make room")

    def rebuild(self) -> Rebuilt:
        """Make the catalogue again; workers' plans on disk give back the addresses of sources."""
        plans = [plan for spool in self.spools.all() if (plan := spool.read_document("plan"))]
        rebuilt = self.rebuilding.rebuild([each for plan in plans for each in parse_plan(plan)])
        self._first_token()
        return rebuilt

    def jobs_in(self, state: JobState) -> Sequence[Job]:
        """Jobs in a state, newest first."""
        with self.catalogue.reading() as tx:
            return tx.jobs.in_state(state)
