"""What a sequence parameter set says of its pictures (H.264 section 7.3.2.1, H.265 section 7.3.2.2)."""

from dataclasses import dataclass

from archiver.errors import MediaError
from archiver.mp4.bits import Bits

MAX_SIDE = 65535

_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_CHROMA_STEPS = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """`profile` and `level` as the standard numbers them (profile_idc, level_idc); sizes in pixels after
    cropping.

    `chroma` is chroma_format_idc (1 is 4:2:0), `depth` the bits of luma.
    """

    profile: int
    level: int
    width: int
    height: int
    chroma: int
    depth: int

    def __post_init__(self) -> None:
        if not (0 < self.width <= MAX_SIDE and 0 < self.height <= MAX_SIDE):
            raise MediaError(f"a picture of {self.width}x{self.height} pixels")

    def same_picture(self, other: "PictureFormat") -> bool:
        """Whether one decoder set-up and one picture size serve both; the level may differ."""
        return (self.profile, self.width, self.height, self.chroma, self.depth) == (
            other.profile,
            other.width,
            other.height,
            other.chroma,
            other.depth,
        )


def parse_sps(codec: str, sps: bytes) -> PictureFormat:
    """`sps` is a NAL unit with its header, of H.264 (avc1, avc3) or H.265 (hvc1, hev1). Raises MediaError."""
    return _h264(Bits(sps[1:])) if codec in ("avc1", "avc3") else _h265(Bits(sps[2:]))


def _h264(bits: Bits) -> PictureFormat:
    profile = bits.read(8)
    bits.skip(8)
    level = bits.read(8)
    bits.unsigned()
    chroma, depth, planes = _h264_chroma(bits) if profile in _WITH_CHROMA else (1, 8, False)
    bits.unsigned()
    _skip_picture_order(bits)
    bits.unsigned()
    bits.skip(1)
    columns, rows = bits.unsigned() + 1, bits.unsigned() + 1
    frames_only = bits.flag()
    if not frames_only:
        bits.skip(1)
    bits.skip(1)
    left, right, top, bottom = _window(bits)
    across, down = (1, 1) if planes else _CHROMA_STEPS[chroma]
    fields = 1 if frames_only else 2
    width = columns * 16 - across * (left + right)
    height = rows * fields * 16 - down * fields * (top + bottom)
    return PictureFormat(profile, level, width, height, chroma, depth)


def _h264_chroma(bits: Bits) -> tuple[int, int, bool]:
    """chroma_format_idc, bits of luma, separate_colour_plane_flag."""
    chroma, planes = _chroma(bits)
    depth = bits.unsigned() + 8
    bits.unsigned()
    bits.skip(1)
    if bits.flag():
        for number in range(12 if chroma == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, depth, planes


def _chroma(bits: Bits) -> tuple[int, bool]:
    chroma = bits.unsigned()
    if chroma not in _CHROMA_STEPS:
        raise MediaError(f"chroma format {chroma} isn't known")
    return chroma, chroma == 3 and bits.flag()


def _skip_scaling_list(bits: Bits, size: int) -> None:
    """Section 7.3.2.1.1.1."""
    last = 8
    for _ in range(size):
        last = (last + bits.signed()) % 256
        if last == 0:
            return


def _skip_picture_order(bits: Bits) -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()
    elif kind == 1:
        bits.skip(1)
        bits.signed()
        bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()


def _window(bits: Bits) -> tuple[int, int, int, int]:
    """Cropping (H.264) or conformance window (H.265): left, right, top, bottom in units of chroma samples."""
    if not bits.flag():
        return 0, 0, 0, 0
    return bits.unsigned(), bits.unsigned(), bits.unsigned(), bits.unsigned()


def _h265(bits: Bits) -> PictureFormat:
    bits.skip(4)
    layers = bits.read(3)
    bits.skip(1)
    profile, level = _profile_tier_level(bits, layers)
    bits.unsigned()
    chroma, planes = _chroma(bits)
    width, height = bits.unsigned(), bits.unsigned()
    left, right, top, bottom = _window(bits)
    depth = bits.unsigned() + 8
    across, down = (1, 1) if planes else _CHROMA_STEPS[chroma]
    return PictureFormat(profile, level, width - across * (left + right), height - down * (top + bottom), chroma, depth)


def _profile_tier_level(bits: Bits, layers: int) -> tuple[int, int]:
    """Section 7.3.3: general_profile_idc and general_level_idc; what it says of `layers` sub-layers is passed
    over."""
    bits.skip(3)
    profile = bits.read(5)
    bits.skip(80)
    level = bits.read(8)
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.skip(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.skip(88 * has_profile + 8 * has_level)
    return profile, level
