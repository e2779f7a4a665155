"""The metrics of one separated mixture that have a value for every second, by the names under which results are stored.

    bsseval_v4_sdr            likewise _isr, _sir, _sar: BSSEval version 4, "images", frames of one second, dB (SiSEC's setting)
    bsseval_v4_sources_sdr    likewise _sir, _sar: the same, "sources": the SDR forgives the filters, the others are as above
    bsseval_v4_sdr_permuted   and so on: each reference has the estimate that makes the mean SIR best

and each of them with `_improvement`: less what a baseline gets, the mixture shared out.  All channels are measured together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toolkit.metrics.assignment import assign
from toolkit.metrics.bss_eval_v4 import Ratios, bss_eval_v4_pairs

WINDOW = 1.0  # seconds, also from one frame to the next
IMAGES, SOURCES, PERMUTED, IMPROVEMENT = "bsseval_v4_", "bsseval_v4_sources_", "_permuted", "_improvement"
IN_ORDER = [*(IMAGES + ratio for ratio in ("sdr", "isr", "sir", "sar")), *(SOURCES + ratio for ratio in ("sdr", "sir", "sar"))]
NAMES = [name + suffix for suffix in ("", PERMUTED) for name in IN_ORDER]
NAMES += [name + IMPROVEMENT for name in NAMES]


def measure(wanted: list[str], baseline: Tensor, references: Tensor, estimates: Tensor, sample_rate: int) -> dict[str, Tensor]:
    """Measure the estimates of one mixture, second by second.

    Args:
        wanted: names of metrics, see above.
        baseline: what improvements are over, (1, channels, time) for all sources or (sources, channels, time).
        references: (sources, channels, time).
        estimates: (sources, channels, time), in the references' order.
        sample_rate: Hz.

    Returns:
        For each name (sources, frames) in dB; NaN where it is not defined, or infinite (museval stores neither).
    """
    count = len(references)
    each = range(count)
    permuted = any(PERMUTED in name for name in wanted)
    improved = any(name.endswith(IMPROVEMENT) for name in wanted)
    pairs = [(k, s) for k in each for s in each] if permuted else [(s, s) for s in each]
    hypotheses = estimates
    if improved:
        hypotheses = torch.cat([estimates, baseline])
        pairs += [(count + min(s, len(baseline) - 1), s) for s in each]
    ratios = bss_eval_v4_pairs(hypotheses, references, pairs, round(WINDOW * sample_rate))
    silent = ratios.silent[:count].any(0)
    order = torch.arange(count, device=references.device)
    chosen = {"": order * (count + 1 if permuted else 1)}  # where in `pairs` each source's estimate is
    if permuted:
        sir = ratios.sir[: count**2].masked_fill(silent, torch.nan).nanmean(1)
        chosen[PERMUTED] = assign(-sir.reshape(1, count, count))[0] * count + order
    found = {}
    for name in wanted:
        plain = name.removesuffix(IMPROVEMENT)
        ratio = _ratio(ratios, plain.removesuffix(PERMUTED))
        values = ratio[chosen[PERMUTED if plain.endswith(PERMUTED) else ""]].masked_fill(silent, torch.nan)
        if name != plain:
            values = values - ratio[-count:].masked_fill(ratios.silent[count:].any(0), torch.nan)
        found[name] = values.masked_fill(values.isinf(), torch.nan)
    return found


def _ratio(ratios: Ratios, name: str) -> Tensor:
    if name == SOURCES + "sdr":
        return ratios.sources_sdr
    return {"sdr": ratios.sdr, "isr": ratios.isr, "sir": ratios.sir, "sar": ratios.sar}[name.rpartition("_")[2]]
