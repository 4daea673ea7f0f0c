"""The drivers that the vault's contract suite runs on. Each opens the same store as often as it is asked."""

from collections.abc import Callable
from pathlib import Path

from archiver.adapters.vault_local import LocalVault
from archiver.ports import Clock, Vault

OpenVault = Callable[[Clock], Vault]


def local(folder: Path) -> OpenVault:
    return lambda clock: LocalVault(folder / "vault", clock)


DRIVERS: dict[str, Callable[[Path], OpenVault]] = {"local": local}
