"""Checks that audio files hold all samples that their headers declare.

libsndfile silently decodes what is left of a truncated file, and stops early if a header declares
too small a size. Each module checks one family of containers and, where possible, returns a view
of the file with a corrected header: `pcm` (WAV, AIFF, W64, CAF, AU, SVX, NIST), `flac`, `ogg`
(Vorbis, Opus) and `mpeg` (MP3).
"""

from audioprobe.audio.containers import flac, mpeg, ogg, pcm

__all__ = ["flac", "mpeg", "ogg", "pcm"]
