"""How browser copies are encoded. A profile is part of a copy's name: changing one makes new copies, beside the old."""

from archiver.values import Profile

BROWSER = Profile(name="browser", height=720, preset="veryfast", crf=25, sound_bits=96_000)
