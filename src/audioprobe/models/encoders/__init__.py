"""Audio encoders, which convert audio to features or label probabilities.

`ast` contains `AST`, `birdnet` contains `BirdNET` (extra `birdnet`), and `clap` contains `CLAP`.
Each module needs its own libraries, so nothing is imported here.
"""

__all__: list[str] = []
