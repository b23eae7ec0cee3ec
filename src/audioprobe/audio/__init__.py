"""Reading of audio files and clips, windows, resampling, augmentation and spectrograms.

- `files`, `containers`: search and opening of audio files, and checks of their length
- `sources`, `hugging_face`: conversion of paths, arrays and data sets to clips
- `windowing`: reading of clips as waveforms or windows
- `transforms`, `filterbank`: functions of waveforms; `filterbank` imports torch
- `training_clips`: search for clips that a model was trained on

Importing this package imports none of these modules.
"""

__all__: list[str] = []
