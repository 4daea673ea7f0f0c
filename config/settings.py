"""Every setting, its default and what is allowed. Read once, at the start of a process; unknown keys are refused.

Order: `ARCHIVER_…` variables (nested by `__`), files named by `ARCHIVER_…_FILE` for secrets, then `archiver.toml` in
the home folder, then the defaults below.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from archiver.addresses import PRIVATE_NETWORKS, Network
from archiver.errors import SettingsError

FILE_NAME = "archiver.toml"
PREFIX = "ARCHIVER_"
Seconds = Annotated[float, Field(gt=0, le=86400)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchiveSettings(Section):
    """Who keeps the archive and where its wall clocks hang."""

    name: str = "archiver"
    organisation: Name = "default"
    site: Name = "main"
    time_zone: str = "Asia/Shanghai"
    language: Literal["zh", "en"] = "zh"

    @field_validator("time_zone")
    @classmethod
    def known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("must be an IANA time zone such as Asia/Shanghai") from None
        return value


class CatalogueSettings(Section):
    """SQLAlchemy URL; empty is `catalogue.db` in the home folder."""

    url: str = ""


class VaultSettings(Section):
    """`file:///folder`; empty is `vault/` in the home folder."""

    url: str = ""
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")


class WorkSettings(Section):
    """The job engine's database (empty: the catalogue's) and how duties are leased."""

    url: str = ""
    capacity: Annotated[int, Field(ge=1, le=1000)] = 64
    lease_s: Seconds = 10.0


class ApiSettings(Section):
    """Where the API and the page listen. Loopback unless configured."""

    listen: Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")] = "127.0.0.1:8080"

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


class IngestSettings(Section):
    """Which addresses may be recorded, and how."""

    allowed_networks: tuple[Network, ...] = PRIVATE_NETWORKS
    segment_s: Annotated[float, Field(ge=2, le=600)] = 60.0
    pre_roll_s: Annotated[float, Field(ge=0, le=300)] = 5.0
    post_roll_s: Annotated[float, Field(ge=0, le=300)] = 5.0
    stall_s: Seconds = 8.0
    ffmpeg: str = ""


class SealSettings(Section):
    """How long a seal waits for footage that is known to be missing, in seconds after the window's end."""

    patience_s: Annotated[float, Field(ge=60, le=30 * 86400)] = 86400.0


class RetentionSettings(Section):
    """Government Procurement Law Art. 42: never under 15 years."""

    minimum_years: Annotated[int, Field(ge=15, le=200)] = 15


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(BaseSettings):
    """All of it. `home` holds the state of an installation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    home: Path = Path("~/.local/share/archiver")
    archive: ArchiveSettings = ArchiveSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    vault: VaultSettings = VaultSettings()
    work: WorkSettings = WorkSettings()
    api: ApiSettings = ApiSettings()
    ingest: IngestSettings = IngestSettings()
    seal: SealSettings = SealSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()

    @field_validator("home")
    @classmethod
    def absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment outranks what `load` read from files and passes in."""
        return (env_settings, init_settings)

    @property
    def catalogue_url(self) -> str:
        return self.catalogue.url or f"sqlite:///{self.home / 'catalogue.db'}"

    @property
    def vault_url(self) -> str:
        return self.vault.url or (self.home / "vault").as_uri()

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def token_file(self) -> Path:
        return self.home / "token"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.archive.time_zone)


def load(home: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of the installation at `home` (else ARCHIVER_HOME, else the default). `overrides` are lowest but for
    the defaults of the program: a file or the environment outranks them. SettingsError names each bad key.
    """
    chosen = _home(home)
    _refuse_unknown(os.environ)
    values = _merged(overrides or {}, _from_toml(chosen / FILE_NAME))
    values = _merged(values, _from_secret_files(os.environ))
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(
            f"{chosen / FILE_NAME} or the {PREFIX}… environment has a setting that is not allowed: "
            + "; ".join(f"{_place(problem['loc'])}: {problem['msg']}" for problem in error.errors()),
            errors={_place(problem["loc"]): problem["msg"] for problem in error.errors()},
        ) from None
    return settings.model_copy(update={"home": chosen})


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """A misspelt section in a variable would otherwise be passed over in silence; within a section pydantic refuses."""
    for name in environment:
        section = name.removeprefix(PREFIX).partition("__")[0].lower()
        if name.startswith(PREFIX) and section not in Settings.model_fields:
            raise SettingsError(
                f"{name} is not a setting; sections are {', '.join(Settings.model_fields)}", errors={name: "unknown"}
            )


def _home(home: Path | None) -> Path:
    given = home or Path(os.environ.get("ARCHIVER_HOME") or Settings.model_fields["home"].default)
    return given.expanduser().absolute()


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not a TOML file: {error}", errors={str(path): str(error)}) from None


def _from_secret_files(environment: Mapping[str, str]) -> dict[str, Any]:
    """`ARCHIVER_VAULT__SECRET_KEY_FILE=/run/secrets/s3` gives vault.secret_key that file's first line."""
    values: dict[str, Any] = {}
    for name, path in environment.items():
        if not (name.startswith(PREFIX) and name.endswith("_FILE") and path):
            continue
        section, _, key = name.removeprefix(PREFIX).removesuffix("_FILE").lower().partition("__")
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise SettingsError(
                f"{name} names {path}, which can't be read: {error}", errors={name: str(error)}
            ) from None
        values.setdefault(section, {})[key] = text.split("\n", 1)[0]
    return values


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """`high` over `low`, section by section."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
