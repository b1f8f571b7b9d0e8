"""Waveforms to frame features, with a disk cache."""
