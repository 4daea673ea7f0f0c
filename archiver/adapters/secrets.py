"""Source addresses sealed with AES-256-GCM under a key file that lies beside the home and never in the catalogue."""

import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archiver.adapters.durable import SECRET, create_file, make_folders
from archiver.errors import SettingsError, TamperError

_VERSION = b"\x01"
_PURPOSE = b"archiver source address"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeySecrets:
    """`ports.Secrets` under the key in `path`, made (0600) when nothing is there yet."""

    def __init__(self, path: Path) -> None:
        """SettingsError for a key file that others may read or that holds no key."""
        if not path.exists():
            make_folders(path.parent)
            # Of two processes that start at once, one makes the key and both use it.
            with suppress(FileExistsError):
                create_file(path, os.urandom(_KEY_BYTES), SECRET)
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} may be read by others: chmod 600 it, and change the sources' passwords")
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise SettingsError(f"{path} is no key of {_KEY_BYTES} bytes: bring back the right file from a copy")
        self._cipher = AESGCM(key)

    def seal(self, secret: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret.encode(), _PURPOSE)

    def open(self, sealed: bytes) -> str:
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise TamperError("a sealed address that this program didn't seal: enter the source's address again")
        try:
            return self._cipher.decrypt(nonce, text, _PURPOSE).decode()
        except InvalidTag:
            raise TamperError(
                "an address was sealed with another key, or changed: bring back the key file, or enter it again"
            ) from None
