"""Constant-Q and variable-Q transforms of waveforms, whole or as they come in."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Convention = Literal["librosa", "nnaudio"]  # whose windows

HANN_BANDWIDTH = 1.50018310546875  # in bins, as librosa rounds it where it asks whether the highest bin fits
REACH = 37  # samples that the half-band filter looks to either side; odd, as only its odd taps are not zero
KAISER_BETA = 11.2  # 110 dB of attenuation
PASSBAND = 0.8  # of half the halved rate: what the filter leaves as it is; what it lets through above 1.2 folds elsewhere
MARGIN = 16  # bandwidths beside a bin that must lie in it: what a window hears farther off is more than 90 dB down
MAX_PHASES = 64  # kernels of a bin, one for each place between two samples where a frame's centre may fall
BLOCK = 64  # samples that one product of matrices halves the rate to


class CQT(nn.Module):
    """Frames centred on every hop under Hann windows as long as each bin's bandwidth asks for, scaled as librosa scales them.

    Bin k at f = f_min · 2^(k / bins_per_octave) Hz is Σ x[n] w[n - centre] exp(-2πi f (n - centre) / sample_rate) √N / Σ w, the
    window w being N samples long; the waveform is silent before and after (librosa's ``scale=True, pad_mode="constant"``).

    The rate is halved by a half-band filter as often as a bin's own band allows, and what is left is one product of matrices a
    rate.  The windows are functions of time, sampled wherever a frame's centre falls between the samples of a halved rate:
    hops need not be divisible by two.  A waveform of T samples has L = 1 + ⌊T / hop_length⌋ frames.  Brown 1991; Schörkhuber &
    Klapuri 2010; Schörkhuber et al. 2014 (variable Q).

    librosa leaves out what its windows answer to negative frequencies: with five periods under a window and more that is less
    than a thousandth, with two, as in the lowest octave of a variable-Q transform, a hundredth.

    Args:
        sample_rate: Hz.
        hop_length: samples between frames, any number.
        f_min: Hz of the lowest bin.
        bins: F.
        bins_per_octave: bins of an octave.
        gamma: Hz that each bin's bandwidth is wider than with constant Q; 0 for constant Q.
        kernels: whose lengths of windows, which differ by about a hundredth.  The bandwidth is the share of the frequency that
            is (r² - 1) / (r² + 1) for `librosa`, r - 1 for `nnaudio`, r = 2^(1 / bins_per_octave); windows are whole samples
            at the rate that librosa takes for the octave, or at the waveform's.  PESTO was published with `nnaudio`.
        halvings: how often the rate may be halved; none is more work and less latency, half the longest window; null for as
            often as is exact.

    Attributes:
        frequencies: Hz of each bin.
        lengths: samples of each window, before they are rounded.
        latency: samples that must have come in after a frame's centre before `step` gives the frame.

    Raises:
        ValueError: an option is not positive, gamma is negative, or the highest bin is above half the sample rate.
    """

    taps: Tensor

    def __init__(
        self,
        sample_rate: float = 22050,
        hop_length: int = 512,
        f_min: float = 32.70319566257483,
        bins: int = 84,
        bins_per_octave: int = 12,
        gamma: float = 0.0,
        kernels: Convention = "librosa",
        halvings: int | None = None,
    ) -> None:
        super().__init__()
        if min(sample_rate, hop_length, f_min, bins, bins_per_octave) <= 0 or gamma < 0:
            raise ValueError(
                "sample_rate, hop_length, f_min, bins, bins_per_octave: expected to be positive, gamma not negative"
            )
        if kernels not in ("librosa", "nnaudio"):
            raise ValueError(f"kernels: expected librosa or nnaudio, found {kernels!r}")
        if halvings is not None and halvings < 0:
            raise ValueError(f"halvings: expected 0 or more, found {halvings}")
        self.sample_rate, self.hop_length, self.bins, self.halvings = sample_rate, hop_length, bins, halvings
        self.frequencies = [f_min * 2 ** (number / bins_per_octave) for number in range(bins)]
        ratio = 2 ** (1 / bins_per_octave)
        alpha = (ratio**2 - 1) / (ratio**2 + 1) if kernels == "librosa" else ratio - 1
        self.lengths = [sample_rate / (alpha * frequency + gamma) for frequency in self.frequencies]
        windows = self._librosa_windows(alpha, gamma, bins_per_octave) if kernels == "librosa" else self._nnaudio_windows()
        depths = [self._depth(frequency, length) for frequency, length in zip(self.frequencies, self.lengths, strict=True)]
        self._cycles, self._windows = tuple(frequency / sample_rate for frequency in self.frequencies), tuple(windows)
        self.levels = nn.ModuleList()
        for depth in range(max(depths) + 1):
            own = [number for number in range(bins) if depths[number] == depth]
            cycles = [self._cycles[number] for number in own]
            self.levels.append(_Level(depth, hop_length, cycles, [windows[number] for number in own]))
        self.register_buffer("taps", half_band_blocks(), persistent=False)
        self.latency = max((REACH + level.after) * level.factor - REACH + 1 for level in self._levels() if level.bins)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Transform (B, T) into the complex spectrogram (B, F, L), in single precision at least."""
        frames = waveforms.shape[-1] // self.hop_length + 1
        ended = F.pad(waveforms, (0, self.latency))
        return self._advance(ended, self._silence(ended), 0)[0][..., :frames]

    def frame(self, waveforms: Tensor, number: int) -> Tensor:
        """Frame `number` (B, F) of the spectrogram of waveforms (B, T), in single precision at least.

        One product at the waveforms' own rate, for a few thousand samples in a fraction of the time that all frames take; its
        matrix, of T or the longest window's samples, is kept for the next ones of the same length.
        """
        if torch.compiler.is_compiling():  # what is made for one length must go into no graph and no file
            return self(waveforms)[..., number]
        samples = waveforms.to(torch.promote_types(waveforms.dtype, torch.float32))
        centre = number * self.hop_length
        begin, kernels = _frame_kernels(self._cycles, self._windows, centre, samples.shape[-1], samples.device)
        made = samples[:, begin : begin + len(kernels)] @ kernels.to(samples.dtype)
        return torch.view_as_complex(made.unflatten(-1, (self.bins, 2)))

    def step(self, waveforms: Tensor, state: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Take the next samples (B, T), T at least 0; give the frames (B, F, l) that are complete with them, and the state.

        All frames one after the other, those of `finish` included, are those of the whole waveform.

        Args:
            waveforms: as many as before.
            state: what the step before gave; None at the beginning.
        """
        levels = range(len(self.levels))
        if state is None:
            received, buffers = 0, self._silence(waveforms)
        else:
            received, buffers = int(state["received"]), [state[f"level_{depth}"] for depth in levels]
        spectrum, buffers = self._advance(waveforms, buffers, received)
        after = {f"level_{depth}": buffers[depth] for depth in levels}
        return spectrum, {"received": torch.tensor(received + waveforms.shape[-1]), **after}

    def finish(self, state: dict[str, Tensor]) -> Tensor:
        """The frames (B, F, l) that are still missing when no more samples come."""
        received = int(state["received"])
        missing = received // self.hop_length + 1 - self._ready(self._ends(received))
        silence = state["level_0"].new_zeros(len(state["level_0"]), self.latency)
        return self.step(silence, state)[0][..., :missing]

    def _librosa_windows(self, alpha: float, gamma: float, bins_per_octave: int) -> list[_Window]:
        """Windows of an odd or even number of samples at the octave's rate, their highest point half a sample late if odd."""
        highest = self.frequencies[-1]
        cutoff, half = highest * (1 + 0.5 * HANN_BANDWIDTH * alpha) + 0.5 * gamma, self.sample_rate / 2
        if cutoff > half:
            raise ValueError(f"bins: the highest reaches {cutoff:.0f} Hz, above half the sample rate, {half:g} Hz")
        octaves = math.ceil(self.bins / bins_per_octave)
        twos = (self.hop_length & -self.hop_length).bit_length() - 1
        early = min(max(0, math.ceil(math.log2(half / cutoff)) - 2), max(0, twos - octaves + 1))
        windows = []
        for number, length in enumerate(self.lengths):
            octave = (self.bins - 1 - number) // bins_per_octave
            factor = 2 ** (early + min(octave, twos - early))
            before, after = math.ceil(length / factor / 2), math.floor(length / factor / 2)
            windows.append(_Window((before + after) * factor, (before - after) / 2 * factor, math.sqrt(length)))
        return windows

    def _nnaudio_windows(self) -> list[_Window]:
        """Windows of an odd or even number of samples, their highest point half a sample early if odd."""
        if self.frequencies[-1] > self.sample_rate / 2:
            raise ValueError(f"bins: the highest is at {self.frequencies[-1]:.0f} Hz, above half the sample rate")
        whole = [math.ceil(length) for length in self.lengths]
        return [_Window(length, -0.5 * (length % 2), math.sqrt(length)) for length in whole]

    def _depth(self, frequency: float, length: float) -> int:
        """How often the rate may be halved for a bin."""
        edge = frequency + MARGIN * self.sample_rate / length
        depth = max(0, math.floor(math.log2(PASSBAND * self.sample_rate / 2 / edge)))
        if self.halvings is not None:
            depth = min(depth, self.halvings)
        while 2**depth // math.gcd(2**depth, self.hop_length) > MAX_PHASES:
            depth -= 1
        return depth

    def _levels(self) -> list[_Level]:
        return [level for level in self.levels if isinstance(level, _Level)]

    def _ends(self, received: int) -> list[int]:
        """The first sample of each rate that cannot be computed yet."""
        ends = [received]
        for _ in self.levels[1:]:
            ends.append((ends[-1] - 1 - REACH) // 2 + 1)
        return ends

    def _starts(self, ends: list[int], frame: int) -> list[int]:
        """The first sample of each rate that `frame`, later ones or the halved rate will ask for."""
        starts = [2 * end - REACH for end in ends[1:]] + [ends[-1]]
        for level in self._levels():
            if level.bins:
                starts[level.depth] = min(starts[level.depth], level.first(frame))
        return [min(start, end) for start, end in zip(starts, ends, strict=True)]

    def _ready(self, ends: list[int]) -> int:
        """How many frames can be computed."""
        return min(level.frames_before(ends[level.depth]) for level in self._levels() if level.bins)

    def _silence(self, waveforms: Tensor) -> list[Tensor]:
        """What is held of each rate before the first sample."""
        ends = self._ends(0)
        dtype = torch.promote_types(waveforms.dtype, torch.float32)
        return [
            waveforms.new_zeros(waveforms.shape[0], end - start, dtype=dtype)
            for start, end in zip(self._starts(ends, 0), ends, strict=True)
        ]

    def _advance(self, waveforms: Tensor, buffers: list[Tensor], received: int) -> tuple[Tensor, list[Tensor]]:
        """The frames that more samples complete, and what must be held of each rate for those to come."""
        before, ends = self._ends(received), self._ends(received + waveforms.shape[-1])
        frame, last = self._ready(before), self._ready(ends)
        starts, wanted = self._starts(before, frame), self._starts(ends, last)
        made, kept, fresh = [], [], waveforms.to(buffers[0].dtype)
        for level, buffer in zip(self._levels(), buffers, strict=True):
            depth = level.depth
            signal = torch.cat([buffer, fresh], dim=-1)
            if level.bins:
                made.append(level(signal[:, level.first(frame) - starts[depth] :], frame, last - frame))
            if depth + 1 < len(buffers):
                region = signal[:, 2 * before[depth + 1] - REACH - starts[depth] :]
                fresh = halve(region, ends[depth + 1] - before[depth + 1], self.taps)
            kept.append(signal[:, wanted[depth] - starts[depth] :])
        spectrum = torch.cat(made[::-1], dim=-2)  # the lowest bins are those of the lowest rate
        return torch.view_as_complex(spectrum).transpose(1, 2), kept


class _Window(NamedTuple):
    """A Hann window, in samples of the waveform.

    Attributes:
        span: from where it leaves zero to where it is back.
        centre: its highest point, after the centre of the frame.
        gain: of the mean under the window.
    """

    span: float
    centre: float
    gain: float


class _Level(nn.Module):
    """The bins that are computed at one rate.

    Args:
        depth: how often the rate was halved.
        hop_length: samples of the waveform between frames.
        cycles: of the bins, in a sample of the waveform.
        windows: of the bins.

    Attributes:
        factor: samples of the waveform between two of this rate.
        phases: frames after which centres fall between samples alike.
        before, after: samples of this rate that a frame needs before and after the last one that is not after its centre.
    """

    kernels: Tensor

    def __init__(self, depth: int, hop_length: int, cycles: list[float], windows: list[_Window]) -> None:
        super().__init__()
        self.depth, self.factor, self.hop_length, self.bins = depth, 2**depth, hop_length, len(windows)
        self.phases = self.factor // math.gcd(self.factor, hop_length)
        if not windows:
            return
        late = (self.phases - 1) / self.phases
        self.before = math.ceil(max(window.span / 2 - window.centre for window in windows) / self.factor)
        self.after = math.ceil(max(window.span / 2 + window.centre for window in windows) / self.factor + late)
        late = torch.tensor([phase * hop_length % self.factor for phase in range(self.phases)], dtype=torch.float64)
        samples = torch.arange(-self.before, self.after + 1, dtype=torch.float64) * self.factor
        kernels = self.factor * _kernels(samples - late[:, None], cycles, windows)
        self.register_buffer("kernels", kernels.float(), persistent=False)

    def first(self, frame: int) -> int:
        """The first sample that a frame needs."""
        return frame * self.hop_length // self.factor - self.before

    def frames_before(self, end: int) -> int:
        """How many frames need no sample from `end` on."""
        return max(0, ((end - self.after) * self.factor - 1) // self.hop_length + 1)

    def forward(self, signal: Tensor, frame: int, count: int) -> Tensor:
        """Map what begins with a frame's first sample, (B, samples), to this frame and the next ones, (B, count, bins, 2)."""
        kernels = self.kernels.to(signal.dtype)
        width, cycle = kernels.shape[1], self.hop_length * self.phases // self.factor
        begin = self.first(frame)
        made = signal.new_empty(signal.shape[0], count, 2 * self.bins)
        for number in range(min(count, self.phases)):
            times = -(-(count - number) // self.phases)
            own = signal[:, self.first(frame + number) - begin :][:, : (times - 1) * cycle + width]
            made[:, number :: self.phases] = own.unfold(-1, width, cycle) @ kernels[(frame + number) % self.phases]
        return made.unflatten(-1, (self.bins, 2))


def _kernels(time: Tensor, cycles: Sequence[float], windows: Sequence[_Window]) -> Tensor:
    """What samples at a time (*), counted from a frame's centre, are multiplied by: (*, bins · 2), the parts in turn."""
    rows = [[cycle, *window] for cycle, window in zip(cycles, windows, strict=True)]
    cycle, span, centre, gain = torch.tensor(rows, dtype=torch.float64).unbind(1)
    time = time[..., None]
    place = ((time - centre) / span).clamp(-0.5, 0.5)
    taper = gain * 2 / span * (0.5 + 0.5 * torch.cos(2 * math.pi * place))
    angle = 2 * math.pi * (cycle * time)
    return torch.stack([taper * angle.cos(), -taper * angle.sin()], dim=-1).flatten(-2)


@functools.lru_cache(maxsize=4)
def _frame_kernels(
    cycles: tuple[float, ...], windows: tuple[_Window, ...], centre: int, length: int, device: torch.device
) -> tuple[int, Tensor]:
    """The first sample that a frame needs which is centred on one of `length` samples, and `_kernels` of all that it needs."""
    half = max(math.ceil(window.span / 2 + abs(window.centre)) for window in windows)
    begin, end = max(0, centre - half), min(length, centre + half + 1)
    time = torch.arange(begin, end, dtype=torch.float64) - centre
    return begin, _kernels(time, cycles, windows).to(device, torch.float32)


def half_band_blocks() -> Tensor:
    """The odd taps of a low-pass filter at a quarter of the rate as a matrix (BLOCK + REACH, BLOCK); the one at 0 is a half."""
    window = torch.kaiser_window(2 * REACH + 1, periodic=False, beta=KAISER_BETA, dtype=torch.float64)
    taps = (torch.sinc(torch.arange(-REACH, REACH + 1, dtype=torch.float64) / 2) * window)[::2]
    taps = taps / taps.sum() / 2
    rows, columns = torch.arange(BLOCK + REACH)[:, None], torch.arange(BLOCK)
    delay = rows - columns
    inside = (delay >= 0) & (delay <= REACH)
    return torch.where(inside, taps[delay.clamp(0, REACH)], 0).float()


def halve(signal: Tensor, count: int, taps: Tensor) -> Tensor:
    """Take every second sample of what a half-band filter leaves.

    Args:
        signal: (B, at least 2 · count - 1 + 2 · REACH); the first sample that is given is centred on the one at REACH.
        count: samples to give, 0 or more.
        taps: of `half_band_blocks`.

    Returns:
        (B, count).
    """
    if not count:
        return signal[:, :0]
    blocks = -(-count // BLOCK)
    beside = signal[:, ::2][:, : count + REACH]
    beside = F.pad(beside, (0, blocks * BLOCK + REACH - beside.shape[-1]))
    filtered = (beside.unfold(-1, BLOCK + REACH, BLOCK) @ taps.to(signal.dtype)).flatten(1)
    return filtered[:, :count] + signal[:, REACH::2][:, :count] / 2
