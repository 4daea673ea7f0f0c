"""Signatures: made by every signer, judged by the checker and by plain openssl, broken told apart from untrusted."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.adapters import authority
from archiver.adapters.signer import FileSigner, OpenSsl, OpenSslChecker, trust, trusted
from archiver.errors import InputError, ProgramError, SettingsError
from archiver.ports import SignatureChecker, Signer

DATA = b'{"capture":"c"}\n\x00\xff'
NOW = datetime.now(UTC)


def embedded(folder: Path, now: datetime = NOW) -> FileSigner:
    authority.ensure(folder, "采购中心", now)
    return FileSigner(folder, OpenSsl())


SIGNERS = {"embedded": embedded}


@pytest.fixture(params=sorted(SIGNERS))
def signer(request, tmp_path) -> Signer:
    return SIGNERS[request.param](tmp_path / "keys" / "signing")


@pytest.fixture
def checker() -> SignatureChecker:
    return OpenSslChecker(OpenSsl())


def root_of(signer: Signer) -> bytes:
    return x509.load_pem_x509_certificates(signer.chain)[-1].public_bytes(Encoding.PEM)


def test_a_signature_is_intact_and_trusted_by_its_root(signer, checker):
    """With its root the signature holds, and says whose it is."""
    found = checker.check(DATA, signer.sign(DATA), root_of(signer))
    assert (found.intact, found.trusted, found.signer, found.reason) == (True, True, signer.fingerprint, "")


def test_without_roots_only_the_chain_inside_is_checked(signer, checker):
    """No root given: intact, and nothing is said of trust."""
    found = checker.check(DATA, signer.sign(DATA), None)
    assert (found.intact, found.trusted, found.signer) == (True, None, signer.fingerprint)


def test_a_stranger_is_intact_and_not_trusted(signer, checker, tmp_path):
    """Another authority's root doesn't vouch for it, and neither does an empty list of roots."""
    other = embedded(tmp_path / "other")
    for roots in (root_of(other), b"", b" \n"):
        found = checker.check(DATA, signer.sign(DATA), roots)
        assert (found.intact, found.trusted, found.signer) == (True, False, signer.fingerprint)
        assert found.reason


def test_one_of_several_roots_is_enough(signer, checker, tmp_path):
    """A home trusts all that lies in its folder."""
    both = root_of(embedded(tmp_path / "other")) + root_of(signer)
    assert checker.check(DATA, signer.sign(DATA), both).trusted


@pytest.mark.parametrize("data", [b"", DATA + b" ", DATA[:-1], DATA.replace(b"c", b"d"), DATA.replace(b"\n", b"\r\n")])
def test_other_bytes_break_it(signer, checker, data):
    """Any other content is broken, whatever is trusted; line ends are bytes like others."""
    found = checker.check(data, signer.sign(DATA), root_of(signer))
    assert (found.intact, found.trusted, found.signer) == (False, False, None)
    assert found.reason


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100_000), st.integers(0, 7))
def test_a_damaged_signature_vouches_for_nobody_else(signer, checker, at, bit):
    """A flipped bit anywhere raises nothing, makes no other signer, and never makes the signature fit other bytes."""
    signature = bytearray(signer.sign(DATA))
    signature[at % len(signature)] ^= 1 << bit
    found = checker.check(DATA, bytes(signature), root_of(signer))
    assert found.signer == (signer.fingerprint if found.intact else None)
    assert not checker.check(DATA + b"x", bytes(signature), root_of(signer)).intact


@pytest.mark.parametrize("signature", [b"", b"junk", b"\x30\x80", bytes(100)])
def test_what_is_no_signature(signer, checker, signature):
    """Bytes that are no signature are broken, not an error."""
    found = checker.check(DATA, signature, root_of(signer))
    assert (found.intact, found.trusted, found.signer) == (False, False, None)


def test_a_cut_signature_is_broken(signer, checker):
    """A torn file is no signature."""
    signature = signer.sign(DATA)
    assert not checker.check(DATA, signature[: len(signature) // 2], None).intact


def test_a_plain_signature_without_its_chain_is_broken(signer, checker, tmp_path):
    """What doesn't carry its chain, or isn't CAdES, is not what a seal needs."""
    folder = tmp_path / "bare"
    embedded(folder)
    base = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-inkey", folder / "signer.key"]
    signing = [*base, "-signer", folder / "signer.pem"]
    for command in ([*signing, "-cades"], [*signing, "-certfile", folder / "ca.pem"]):
        made = subprocess.run(command, input=DATA, capture_output=True, check=True).stdout
        assert not checker.check(DATA, made, (folder / "ca.pem").read_bytes()).intact


def test_roots_that_are_no_certificates(signer, checker):
    """A wrong file given as roots is the caller's mistake, not a finding."""
    with pytest.raises(InputError):
        checker.check(DATA, signer.sign(DATA), b"not PEM")


def test_after_the_certificate_ended(checker, tmp_path):
    """26 years later the signature still verifies; that time is the signer's word alone is said."""
    old = embedded(tmp_path / "old", NOW - timedelta(days=26 * 366))
    found = checker.check(DATA, old.sign(DATA), root_of(old))
    assert found.intact and found.trusted and "outside its validity" in found.reason
    other = embedded(tmp_path / "other")
    assert checker.check(DATA, old.sign(DATA), root_of(other)).trusted is False


def test_a_stranger_verifies_with_plain_openssl(signer, tmp_path):
    """`openssl cms -verify -cades -binary` and the root are all that is needed, with no other option."""
    for name, content in (("data", DATA), ("sig", signer.sign(DATA)), ("roots", root_of(signer))):
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", tmp_path / "sig"]
    command += ["-content", tmp_path / "data", "-CAfile", tmp_path / "roots"]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == 0 and ended.stdout == DATA, ended.stderr
    (tmp_path / "data").write_bytes(DATA + b"x")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_fingerprint_and_chain(signer):
    """The chain begins with the signing certificate, whose fingerprint it is, and ends in a root."""
    first, *_, last = x509.load_pem_x509_certificates(signer.chain)
    assert authority.fingerprint(first) == signer.fingerprint
    assert last.subject == last.issuer
    assert len(signer.fingerprint) == 64


class TestEmbeddedAuthority:
    """What the embedded authority alone promises."""

    def test_it_outlives_the_retention(self, tmp_path):
        """40 years for the root, 25 for the signer, from a day before."""
        embedded(tmp_path / "signing")
        ca, signer = (
            x509.load_pem_x509_certificate((tmp_path / "signing" / f"{name}.pem").read_bytes())
            for name in ("ca", "signer")
        )
        assert ca.not_valid_before_utc < NOW - timedelta(hours=23)
        assert ca.not_valid_after_utc >= NOW.replace(microsecond=0) + timedelta(days=40 * 365 + 10)
        assert signer.not_valid_after_utc >= NOW.replace(microsecond=0) + timedelta(days=25 * 365 + 6)
        assert signer.extensions.get_extension_for_class(x509.KeyUsage).value.content_commitment

    def test_keys_are_private(self, tmp_path):
        """Only the archive's user reads keys, and nobody the folder."""
        folder = tmp_path / "keys" / "signing"
        embedded(folder)
        assert {path.name for path in folder.iterdir()} == {"ca.pem", "ca.key", "signer.pem", "signer.key"}
        assert {path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_it_is_made_once(self, tmp_path):
        """A later start finds the same; of several first starts at once all use one."""
        folder = tmp_path / "keys" / "signing"
        with ThreadPoolExecutor(4) as pool:
            found = {signer.fingerprint for signer in pool.map(lambda _: embedded(folder), range(4))}
        assert found == {embedded(folder).fingerprint}
        assert list(folder.parent.iterdir()) == [folder]

    def test_a_folder_without_its_files(self, tmp_path):
        """Lost or damaged certificates are said, with what to do, and never made anew under the same name."""
        folder = tmp_path / "signing"
        embedded(folder)
        (folder / "signer.pem").chmod(0o644)
        (folder / "signer.pem").write_text("damaged")
        (folder / "ca.pem").unlink()
        with pytest.raises(SettingsError, match="from a copy"):
            embedded(folder)

    def test_a_lost_key_can_not_sign(self, tmp_path):
        """Signing without the key is an error of its own, not an empty signature."""
        folder = tmp_path / "signing"
        signer = embedded(folder)
        (folder / "signer.key").unlink()
        with pytest.raises(ProgramError, match="can't sign"):
            signer.sign(DATA)

    def test_no_openssl(self):
        """A missing program is named, with its package."""
        with pytest.raises(ProgramError, match="install"):
            OpenSsl("no-such-openssl")


def test_what_a_home_trusts(tmp_path, checker):
    """Certificates are added one file each, once, and read back as one PEM text."""
    folder = tmp_path / "trusted"
    assert trusted(folder) == b""
    one, two = embedded(tmp_path / "one"), embedded(tmp_path / "two")
    for _ in range(2):
        trust(folder, root_of(one) + root_of(two))
    assert len(list(folder.iterdir())) == 2
    for signer in (one, two):
        assert checker.check(DATA, signer.sign(DATA), trusted(folder)).trusted
    with pytest.raises(InputError):
        trust(folder, b"no certificate")
