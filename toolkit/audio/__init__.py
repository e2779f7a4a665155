"""Reading and writing audio files: waveforms are float32 tensors (channels, time) in [-1, 1]."""

from toolkit.audio.io import AudioInfo, info, read, read_into, write

__all__ = ["AudioInfo", "info", "read", "read_into", "write"]
