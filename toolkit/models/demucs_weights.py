"""Weights of Demucs' third version, as torchaudio and the package `demucs` store them, under the names they have here.

>>> reference = torchaudio.models.hdemucs_high(["drums", "bass", "other", "vocals"])
>>> model = HybridDemucs()
>>> model.load_state_dict(hybrid_demucs_weights(reference.state_dict()))
"""

import re
from collections.abc import Mapping

from torch import Tensor

from toolkit.log import UserError

HYBRID = re.compile(r"(?:freq_|(?P<time>time_|t))?(?P<kind>encoder|decoder)\.(?P<number>\d+)\.(?P<part>\w+)\.(?P<rest>.+)")
TIME_ONLY = re.compile(r"(?P<kind>encoder|decoder)\.(?P<number>\d+)\.(?P<part>\d)\.(?P<rest>.+)")
PARTS = {  # of a level, by their names in the hybrid model and their places in the time-only one
    "encoder": {"conv": "down.conv", "norm1": "norm", "dconv": "branch", "rewrite": "gate.conv", "norm2": "gate.norm"}
    | {"0": "down.conv", "1": "norm", "3": "branch", "4": "gate.conv", "5": "gate.norm"},
    "decoder": {"rewrite": "gate.conv", "norm1": "gate.norm", "dconv": "branch", "conv_tr": "up.conv", "norm2": "up.norm"}
    | {"0": "gate.conv", "1": "gate.norm", "3": "up.conv", "4": "up.norm"},
}
WITHIN = {"linear": "projection", "proj": "projection", "query_decay": "decay"}  # of a residual branch
MEETING = {  # all there is of the time branch in the level where the branches meet
    ("encoder", "conv"): "join.conv",
    ("decoder", "conv_tr"): "leave.conv",
    ("decoder", "norm2"): "leave.norm",
}


def hybrid_demucs_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights for `HybridDemucs`.

    torchaudio's model has a norm at the end of its time branch that it never calls (1,536 parameters); it is left out.

    Args:
        weights: state of `torchaudio.models.HDemucs` or `demucs.hdemucs.HDemucs`.

    Raises:
        UserError: there is a weight that neither has.
    """
    matches = {name: _match(HYBRID, name) for name in weights if not name.startswith("freq_emb.")}
    convolutions = {int(match["number"]): weights[name] for name, match in matches.items() if _is_main(match)}
    meeting = max(level for level, weight in convolutions.items() if weight.ndim == 4)  # the last that has bins
    renamed = {}
    for name, match in matches.items():
        kind, part, level = match["kind"], match["part"], int(match["number"])
        if kind == "decoder":
            level = (meeting if match["time"] else max(convolutions)) - level
        if match["time"] and level == meeting:
            place = MEETING.get((kind, part))
        elif level == meeting:
            place = f"{'meet' if kind == 'encoder' else 'part'}.{PARTS[kind][part]}"
        elif level > meeting:
            place = f"inner.{kind}.{level - meeting - 1}.{PARTS[kind][part]}"
        else:
            place = f"{'temporal' if match['time'] else 'spectral'}.{kind}.{level}.{PARTS[kind][part]}"
        if place is not None:
            renamed[f"{place}.{_within(match['rest'])}"] = _over_bins(weights[name])
    if "freq_emb.embedding.weight" in weights:
        renamed["spectral.encoder.0.embedding.vectors"] = weights["freq_emb.embedding.weight"]
    return renamed


def time_demucs_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights for `TimeDemucs`.

    Args:
        weights: state of a `demucs.demucs.Demucs` that has residual branches in its encoder, and no LSTM between it and the
            decoder.

    Raises:
        UserError: there is a weight that this has not.
    """
    matches = {name: _match(TIME_ONLY, name) for name in weights}
    deepest = max(int(match["number"]) for match in matches.values())
    renamed = {}
    for name, match in matches.items():
        kind, level = match["kind"], int(match["number"])
        level = deepest - level if kind == "decoder" else level
        place = f"levels.{kind}.{level}.{PARTS[kind][match['part']]}"
        renamed[f"{place}.{_within(match['rest'])}"] = _over_bins(weights[name])
    return renamed


def _match(pattern: re.Pattern[str], name: str) -> re.Match[str]:
    match = pattern.fullmatch(name)
    if match is None:
        raise UserError(f"{name}: no weight of such a Demucs. Next: see toolkit/models/demucs_weights.py for what is known")
    return match


def _is_main(match: re.Match[str]) -> bool:
    """Whether it is the strided convolution of an encoder level outside the time branch."""
    return (match["time"], match["kind"], match["part"], match["rest"]) == (None, "encoder", "conv", "weight")


def _within(rest: str) -> str:
    return ".".join(WITHIN.get(word, word) for word in rest.split("."))


def _over_bins(weight: Tensor) -> Tensor:
    """A convolution along time has one bin here."""
    return weight.unsqueeze(2) if weight.ndim == 3 else weight
