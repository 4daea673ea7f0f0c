"""Pictures out of stored media, with PyAV."""

import io

import av
from av.error import FFmpegError
from av.video.frame import VideoFrame

from archiver.errors import MediaError


class AvPictures:
    """The Pictures port."""

    def jpeg(self, media: bytes, width: int) -> bytes:
        """The first picture of `media`, at most `width` pixels wide."""
        try:
            frame = _first(media)
            return _encoded(frame, width)
        except (FFmpegError, ValueError) as problem:
            raise MediaError(f"no picture can be made of these {len(media)} bytes: {problem}") from problem


def _first(media: bytes) -> VideoFrame:
    with av.open(io.BytesIO(media), "r", metadata_errors="ignore") as container:
        if not container.streams.video:
            raise MediaError("there is no picture here: this source has sound only")
        for frame in container.decode(video=0):
            return frame
    raise MediaError("there is no picture in this fragment")


def _encoded(frame: VideoFrame, width: int) -> bytes:
    wide = min(width, frame.width) // 2 * 2
    high = max(2, round(frame.height * wide / frame.width / 2) * 2)
    target = io.BytesIO()
    with av.open(target, "w", format="mjpeg") as output:
        stream = output.add_stream("mjpeg")
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuvj420p"
        picture = frame.reformat(width=wide, height=high, format="yuvj420p")
        picture.pts = None
        for packet in [*stream.encode(picture), *stream.encode(None)]:
            output.mux(packet)
    return target.getvalue()
