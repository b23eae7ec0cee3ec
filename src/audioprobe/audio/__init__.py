"""Audio files, clips, windows, resampling, augmentation and spectrogram features."""
