"""How far two waveforms' spectra lie apart in decibels."""

from torch import Tensor

from toolkit.dsp.spectra import normalised_power, periodic_window

FLOOR = 1e-5  # of the powers of normalised spectra, where noise of variance 1 has 0.375


def log_spectral_distance(reference: Tensor, estimate: Tensor, n_fft: int = 1024) -> Tensor:
    """LSD of Torres et al. 2024 as their released code has it: the mean squared difference of powers in dB, without a root.

    Frames overlap by three quarters under a Hann window; no power counts as less than 1e-5.

    Args:
        reference: (*, T).
        estimate: (*, T).
        n_fft: samples of a frame, a multiple of 4.

    Returns:
        (*), dB².
    """
    taper = periodic_window("hann", n_fft)
    powers = (normalised_power(x, taper, n_fft // 4, "onward") for x in (reference, estimate))
    wanted, found = (10 * power.clamp(min=FLOOR).log10() for power in powers)
    return (found - wanted).square().mean((-2, -1))
