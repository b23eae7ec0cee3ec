"""Audio encoders, which convert audio to features or label probabilities.

`ast` contains `AST`, `birdnet` contains `BirdNET` (extra `birdnet`), `clap` contains `CLAP`,
`linear_tagger` contains `LinearTagger`, and `yamnet` contains `YAMNet`.
Each module needs its own libraries, so nothing is imported here.
"""

__all__: list[str] = []
