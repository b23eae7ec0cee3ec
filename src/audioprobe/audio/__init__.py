"""Sound files and waveforms: finding, reading, windows, resampling, filter bank."""
