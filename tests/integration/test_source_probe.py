"""`source test` against virtual cameras, by the libav that PyAV carries."""

import asyncio
import traceback

import pytest

from archiver.errors import AddressError
from archiver.vocabulary import GapCause
from ingest.adapters.probe import AvProbe
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec, Farm
from ingest.preflight import check_source


def look(spec, change=str, limit_s=10.0):
    async def within():
        async with Farm([spec]) as farm:
            return await asyncio.to_thread(check_source, change(farm.urls[spec.name]), AvProbe(), limit_s)

    return asyncio.run(within())


def test_it_tells_what_a_camera_sends():
    """Codecs, size, sound and the time to the first picture."""
    seen = look(CameraSpec("cam", VideoCodec.H265, AudioCodec.PCMU)).seen
    assert (seen.video, seen.width, seen.height) == ("hevc", 640, 360)
    assert (seen.audio, seen.sample_rate) == ("pcm_mulaw", 8000)
    assert 0 < seen.first_picture_s < 10
    assert seen.opening.mov


def test_it_tells_what_a_microphone_sends():
    """Sound alone is enough."""
    seen = look(CameraSpec("mic", VideoCodec.NONE)).seen
    assert (seen.video, seen.audio, seen.opening.mov) == (None, "aac", False)


def test_a_wrong_password_is_told_without_it():
    """The cause is named; the address is not in the words."""
    result = look(CameraSpec("cam"), lambda address: address.replace("viewer:", "viewer:wrong"))
    assert (result.seen, result.cause) == (None, GapCause.AUTH_FAILED)
    assert "viewer" not in result.evidence


def test_nobody_there_is_unreachable():
    """A closed port."""
    result = check_source("rtsp://user:secret@127.0.0.1:9/main", AvProbe(), 3)
    assert result.cause is GapCause.UNREACHABLE
    assert "secret" not in result.evidence


def test_no_traceback_carries_the_address():
    """libav's own error holds it, so ours isn't chained to it."""
    with pytest.raises(Exception, match="recorded") as caught:
        AvProbe().look(f"rtsp://user:{'secret'[::-1]}@127.0.0.1:9/main", 3)
    assert "terces" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("address", ["file:///etc/passwd", "rtsp://host/a\nb", "", "concat:a|b"])
def test_other_addresses_are_refused(address):
    """Only what the recorder may open is opened."""
    with pytest.raises(AddressError):
        AvProbe().look(address, 1)
