"""Checks that audio files contain all samples that their headers declare.

libsndfile decodes the remainder of a truncated file without an error, and stops early if the size
in the header is too small. Each module checks some file formats and, if possible, returns a stream
with a corrected header to decode instead of the file: `pcm` (WAV, AIFF, W64, CAF, AU, SVX, NIST),
`xiph` (FLAC, OGG) and `mpeg` (MP3).
"""

__all__: list[str] = []
