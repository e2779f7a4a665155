"""Reading and writing audio files: waveforms are float32 tensors (channels, time) in [-1, 1].

torch is loaded when a tensor is asked for: `info` and `read_array` do without, and so does the preparation of corpora.
"""

from toolkit.audio.encode import Encoding, writing
from toolkit.audio.io import AudioInfo, blocks, info, read, read_array, read_into, write
from toolkit.audio.recording import Recording

__all__ = ["AudioInfo", "Encoding", "Recording", "blocks", "info", "read", "read_array", "read_into", "write", "writing"]
