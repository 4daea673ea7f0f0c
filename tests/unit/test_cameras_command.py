"""Options of the farm's command, and the names of the loops."""

import pytest

from archiver.errors import InputError
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.command import CamerasOptions, Cut, camera_specs, parse_cut, run_cameras
from ingest.cameras.farm import CameraSpec
from ingest.cameras.loops import Picture, Sound, cache_folder, file_name


def test_cameras_are_counted_and_named():
    """COUNT of one make, then those given one by one."""
    specs = camera_specs(CamerasOptions(count=2, specs=["lobby:h265:pcmu"], profile="bench"))
    assert [spec.name for spec in specs] == ["cam1", "cam2", "lobby"]
    assert (specs[0].video, specs[0].audio) == (VideoCodec.H264, AudioCodec.AAC)
    assert (specs[2].video, specs[2].audio) == (VideoCodec.H265, AudioCodec.PCMU)
    assert {spec.wanted_picture().width for spec in specs} == {1920}


@pytest.mark.parametrize("codec", VideoCodec)
def test_a_camera_sends_the_codec_it_was_asked_for(codec: VideoCodec):
    """Whatever loop's parameters were given with it: a microphone stays one."""
    small = Picture(VideoCodec.H264, width=320, height=180)
    wanted = CameraSpec("one", codec, picture=small).wanted_picture()
    assert (wanted.codec, wanted.width) == (codec, 320)


@pytest.mark.parametrize(
    "options",
    [
        CamerasOptions(specs=["lobby"]),
        CamerasOptions(specs=["lobby:h266:aac"]),
        CamerasOptions(profile="cinema"),
        CamerasOptions(cuts=["cam9:1:2"]),
        CamerasOptions(cuts=["cam1:soon:2"]),
    ],
    ids=["spec", "codec", "profile", "camera", "cut"],
)
def test_bad_options_are_refused_before_anything_runs(options):
    """InputError says what is allowed."""
    with pytest.raises(InputError):
        run_cameras(options)


def test_a_cut_is_read():
    """NAME:AT:SECONDS."""
    assert parse_cut("cam-1:2.5:8") == Cut("cam-1", 2.5, 8.0)


def test_loops_lie_in_the_users_cache_folder():
    """XDG_CACHE_HOME is honoured; an empty one counts as none."""
    assert str(cache_folder({"XDG_CACHE_HOME": "/c"})) == "/c/archiver/loops"
    assert str(cache_folder({"XDG_CACHE_HOME": ""})).endswith("/.cache/archiver/loops")


def test_each_set_of_parameters_has_its_own_file():
    """Another parameter is another loop; the same parameters are the same one."""
    specs = [Picture(VideoCodec.H264), Picture(VideoCodec.H264, noise=1), Picture(VideoCodec.H265)]
    specs += [Sound(AudioCodec.AAC), Sound(AudioCodec.AAC, silent=True), Sound(AudioCodec.PCMU)]
    assert len({file_name(spec) for spec in specs}) == len(specs)
    assert file_name(specs[0]) == file_name(Picture(VideoCodec.H264))
