"""First weights of a layer, by their names."""

from typing import Literal, TypeVar, get_args

from torch import nn

Init = Literal["torch", "he_uniform", "xavier_normal"]
Layer = TypeVar("Layer", nn.Linear, nn.Conv1d, nn.Conv2d)


def initialised(layer: Layer, init: Init) -> Layer:
    """The same layer with first weights of that kind; biases begin at zero, with `torch` as PyTorch draws them.

    Raises:
        ValueError: there is no such kind.
    """
    if init not in get_args(Init):
        raise ValueError(f"init: expected one of {', '.join(get_args(Init))}, found {init!r}")
    if init == "torch":
        return layer
    if init == "he_uniform":
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    else:
        nn.init.xavier_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
