"""EDANSA-2019: soundscapes of Arctic Alaska with 28 labels (Çoban et al., DCASE 2022)."""
