"""Recording over TLS: the same camera, the same frames, nothing readable on the wire."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from ingest import preflight
from ingest.adapters.probe import AvProbe
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.digest import Login
from ingest.cameras.farm import CameraSpec, Farm, FarmOptions
from ingest.cameras.sei import continuity
from tests.stream_rig import PROGRAMS, Rig, marks


def certificate_in(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_an_rtsps_camera_can_be_tested(tmp_path):
    """`source test` answers for it as the recorder would find it."""
    certificate, key = certificate_in(tmp_path)
    options = FarmOptions(login=Login("viewer", "s3cret"), certificate=certificate, key=key)
    with BackgroundFarm([CameraSpec("safe")], options) as farm:
        assert preflight.Tester(AvProbe()).test(farm.urls["safe"]).codecs == ("h264", "aac")


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_rtsps_camera_is_recorded_whole(tmp_path, program):
    """A camera that speaks RTSP over TLS, with a certificate of its own as cameras have, loses no frame."""
    certificate, key = certificate_in(tmp_path)
    options = FarmOptions(login=Login("viewer", "s3cret"), certificate=certificate, key=key)
    rig = Rig(tmp_path / "home", program)

    async def scenario():
        async with Farm([CameraSpec("safe")], options) as farm:
            assert farm.urls["safe"].startswith("rtsps://")
            return await rig.record(farm.urls["safe"], 5)

    recorded = asyncio.run(scenario())
    assert recorded.media is not None, recorded.end.evidence
    (folder,) = rig.folders()
    found = marks(folder)
    assert len(found) > 75 and continuity(found) == continuity(found[:1])
