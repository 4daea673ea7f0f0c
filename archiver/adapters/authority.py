"""The embedded certificate authority: made once, on the first start, with the certificate that signs seals.

It lives in one folder: ca.pem, ca.key, signer.pem, signer.key (keys 0600). The folder appears whole or not at all.
"""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from archiver.adapters.durable import READ_ONLY, SECRET, create_file, make_folders, sync_folder

AUTHORITY_YEARS = 40
SIGNER_YEARS = 25
"""Longer than any minimum period: without a timestamp nothing else carries a signature past its end."""

_DAY = timedelta(days=1)
_YEAR = timedelta(days=365, hours=6)


def ensure(folder: Path, organisation: str, now: datetime) -> None:
    """Make the authority and its signer in `folder`, valid from a day before `now`, unless they are there."""
    if folder.exists():
        return
    make_folders(folder.parent)
    # The name is a hidden neighbour, so that the move is inside one file system.
    with TemporaryDirectory(dir=folder.parent, prefix=".new-", ignore_cleanup_errors=True) as made:
        new = Path(made) / folder.name
        make_folders(new)
        _fill(new, organisation, now)
        try:
            new.rename(folder)
        except OSError:
            # Another process was first: a folder that isn't empty is not replaced.
            if not folder.exists():
                raise
    sync_folder(folder.parent)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 (hex) of its DER."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _fill(folder: Path, organisation: str, now: datetime) -> None:
    root_key, signer_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = _name(organisation, "archiver root")
    root = _certificate(root_name, root_key.public_key(), root_name, root_key, now, AUTHORITY_YEARS, authority=True)
    signer_name = _name(organisation, "archiver seal")
    signer = _certificate(signer_name, signer_key.public_key(), root_name, root_key, now, SIGNER_YEARS, authority=False)
    for name, certificate, key in (("ca", root, root_key), ("signer", signer, signer_key)):
        create_file(folder / f"{name}.pem", certificate.public_bytes(Encoding.PEM), READ_ONLY)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        create_file(folder / f"{name}.key", secret, SECRET)


def _name(organisation: str, common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _certificate(
    name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    years: int,
    *,
    authority: bool,
) -> x509.Certificate:
    """Without an extended key usage: one of code signing alone fails a plain `openssl cms -verify`."""
    path = x509.BasicConstraints(ca=authority, path_length=0 if authority else None)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + years * _YEAR)
        .add_extension(path, critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(identifier, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,  # non-repudiation
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
