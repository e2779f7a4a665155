"""Recurrence over sequences (frames, batch, features)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LSTM(nn.LSTM):
    """`nn.LSTM` that gives its output alone.

    On the meta device PyTorch goes through the frames one by one, which takes it many seconds; the same products are made
    of all frames at once here, so shapes are known in an instant and a counter of operations counts right.

    Args:
        channels: features of the input.
        hidden: units of each layer and direction.
        layers: how many.
        bidirectional: whether each layer has two directions.
        dropout: share of values left out between layers while training.
    """

    def __init__(self, channels: int, hidden: int, layers: int = 1, bidirectional: bool = True, dropout: float = 0.0) -> None:
        between = dropout if layers > 1 else 0.0
        super().__init__(channels, hidden, layers, dropout=between, bidirectional=bidirectional)
        self.channels_out = hidden * (2 if bidirectional else 1)

    def forward(self, sequence: Tensor) -> Tensor:  # type: ignore[override]
        """Map (frames, batch, channels) to (frames, batch, channels_out)."""
        return self._meta(sequence) if sequence.is_meta else super().forward(sequence)[0]

    def _meta(self, sequence: Tensor) -> Tensor:
        per_layer = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            outputs = []
            for input_weight, hidden_weight, *_biases in self.all_weights[layer * per_layer : (layer + 1) * per_layer]:
                hidden = F.linear(sequence, input_weight)[..., : self.hidden_size]
                outputs.append(F.linear(hidden, hidden_weight)[..., : self.hidden_size])
            sequence = torch.cat(outputs, dim=-1)
        return sequence
