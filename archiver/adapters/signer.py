"""Detached CAdES-BES signatures by the `openssl` program, which any stranger has too (ETSI EN 319 122-1)."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from archiver.adapters import authority
from archiver.adapters.durable import READ_ONLY, create_file, make_folders
from archiver.errors import InputError, ProgramError, SettingsError
from archiver.ports import SignatureCheck

TIMEOUT_S = 60

_VERIFY = ("cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any", "-no-CApath", "-no-CAstore")
_EXPIRED = (
    "the signing certificate is outside its validity now, and without a timestamp only the signature's own word says "
    "that it was inside when it signed"
)


class OpenSsl:
    """Runs the program with a list of arguments and an environment that holds nothing of ours."""

    def __init__(self, program: str = "openssl") -> None:
        """ProgramError if `program` can't be found."""
        found = shutil.which(program)
        if not found:
            raise ProgramError(f"{program} is not found: install the package openssl")
        self._path = found

    def run(self, arguments: Sequence[str | Path], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        command = [self._path, *map(str, arguments)]
        try:
            return subprocess.run(
                command, input=data, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise ProgramError(f"openssl {arguments[0]} didn't run: {problem}") from problem


class FileSigner:
    """`ports.Signer` with the key and certificates of a folder made by `authority.ensure`."""

    def __init__(self, folder: Path, openssl: OpenSsl) -> None:
        """SettingsError if a file is missing or no certificate."""
        self._folder = folder
        self._openssl = openssl
        try:
            self._chain = b"".join((folder / name).read_bytes() for name in ("signer.pem", "ca.pem"))
            self._fingerprint = authority.fingerprint(x509.load_pem_x509_certificates(self._chain)[0])
        except (OSError, ValueError) as problem:
            raise SettingsError(
                f"{folder} holds no signing certificate: {problem}; bring it back from a copy"
            ) from None

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def chain(self) -> bytes:
        return self._chain

    def sign(self, data: bytes) -> bytes:
        certificates = ("-signer", self._folder / "signer.pem", "-certfile", self._folder / "ca.pem")
        key = ("-inkey", self._folder / "signer.key")
        form = ("cms", "-sign", "-cades", "-binary", "-outform", "DER", "-md", "sha256")
        ended = self._openssl.run((*form, *certificates, *key), data)
        if ended.returncode or not ended.stdout:
            raise ProgramError(f"openssl can't sign with the key in {self._folder}: {_reason(ended.stderr)}")
        return ended.stdout


class OpenSslChecker:
    """`ports.SignatureChecker`: first the signature by the chain that it carries, then that chain by the caller's
    roots, so that a changed byte and a stranger's certificate are told apart."""

    def __init__(self, openssl: OpenSsl) -> None:
        self._openssl = openssl

    def check(self, data: bytes, signature: bytes, roots: bytes | None) -> SignatureCheck:
        """InputError for roots that are no PEM certificates. An expired certificate is trusted, with the reason."""
        trusted_roots = None if roots is None else load_certificates(roots)
        untrusted = None if roots is None else False
        with TemporaryDirectory() as folder:
            files = _Files(Path(folder), data)
            carried = [certificate for certificate in self._carried(signature) if _is_authority(certificate)]
            if not carried:
                return SignatureCheck(False, untrusted, None, "no signature that carries its chain")
            problem = self._verify(files, signature, carried, "-partial_chain", "-no_check_time")
            if problem:
                return SignatureCheck(False, untrusted, None, problem)
            signer = files.signer()
            if trusted_roots is None:
                return SignatureCheck(True, None, signer)
            return self._trust(files, signature, trusted_roots, signer)

    def _trust(
        self, files: "_Files", signature: bytes, roots: Sequence[x509.Certificate], signer: str
    ) -> SignatureCheck:
        if not roots:
            return SignatureCheck(True, False, signer, "no root is trusted")
        problem = self._verify(files, signature, roots)
        if not problem:
            return SignatureCheck(True, True, signer)
        if not self._verify(files, signature, roots, "-no_check_time"):
            return SignatureCheck(True, True, signer, _EXPIRED)
        return SignatureCheck(True, False, signer, problem)

    def _verify(
        self, files: "_Files", signature: bytes, anchors: Iterable[x509.Certificate], *options: str
    ) -> str | None:
        """Why it doesn't verify under `anchors`, or None."""
        files.anchors.write_bytes(_pem(anchors))
        paths = ("-content", files.data, "-CAfile", files.anchors, "-signer", files.signers, "-out", os.devnull)
        ended = self._openssl.run((*_VERIFY, *options, *paths), signature)
        return _reason(ended.stderr) if ended.returncode else None

    def _carried(self, signature: bytes) -> list[x509.Certificate]:
        """The certificates inside a signature; none if it is no signature."""
        ended = self._openssl.run(("pkcs7", "-inform", "DER", "-print_certs"), signature)
        if ended.returncode:
            return []
        try:
            return x509.load_pem_x509_certificates(ended.stdout)
        except ValueError:
            return []


class _Files:
    """What openssl reads and writes by name during one check."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.data = folder / "data"
        self.anchors = folder / "anchors.pem"
        self.signers = folder / "signers.pem"
        self.data.write_bytes(data)

    def signer(self) -> str:
        return authority.fingerprint(x509.load_pem_x509_certificates(self.signers.read_bytes())[0])


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM text, none for an empty one; InputError for anything else."""
    if not pem.strip():
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as problem:
        raise InputError(f"the roots are no PEM certificates: {problem}") from problem


def trust(folder: Path, pem: bytes) -> None:
    """Add certificates to those that a home trusts (`folder`, one file each), if they aren't there."""
    make_folders(folder)
    for certificate in load_certificates(pem):
        with suppress(FileExistsError):
            create_file(folder / f"{authority.fingerprint(certificate)}.pem", _pem([certificate]), READ_ONLY)


def trusted(folder: Path) -> bytes:
    """All that a home trusts, as one PEM text; empty where nothing is."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.glob("*.pem")))


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _reason(output: bytes) -> str:
    """The words of openssl's last error: `thread:error:code:library:function:words:file:line:more`."""
    lines = output.decode(errors="replace").strip().splitlines()
    fields = lines[-1].split(":", 8) if lines else []
    if len(fields) < 9:
        return lines[-1] if lines else "openssl said nothing"
    return f"{fields[5]} {fields[8]}".strip()
