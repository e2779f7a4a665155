"""How FactorVAE's discriminator is trained beside the model (see `toolkit.losses.total_correlation`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from toolkit.log import UserError
from toolkit.losses.total_correlation import TotalCorrelation
from toolkit.models.latent import LatentModel


def processes() -> int:
    """How many train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


class Adversary:
    """The discriminator's optimizer, and its steps.

    A step needs the model as it is after its own step, which the loop makes when the loss has been computed.  So each step of
    the discriminator waits until the next batch comes; in the meantime it stands in the checkpoint.

    Attributes:
        correlation: what the discriminator is for.
    """

    def __init__(
        self,
        correlation: TotalCorrelation,
        optimizer: Callable[[Iterable], Optimizer] | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        """Begin, or go on.

        Args:
            correlation: on the device where all is computed.
            optimizer: class and options; Adam with 1e-4 if null, as in the dMelodies benchmark.
            state: what `state` gave earlier.

        Raises:
            UserError: several processes train together, each of which would have a discriminator of its own.
        """
        if processes() > 1:
            raise UserError("total_correlation: expected one process, found several. Next: --ngpu 1")
        self.correlation, parameters = correlation, list(correlation.parameters())
        self._optimizer = torch.optim.Adam(parameters, lr=1e-4) if optimizer is None else optimizer(parameters)
        self._waiting: dict[str, Tensor] = {}
        if state:
            correlation.load_state_dict(state["discriminator"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._waiting = {name: tensor.to(parameters[0].device) for name, tensor in state["waiting"].items()}

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, and the batch that it is still to learn from."""
        weights, optimizer = self.correlation.state_dict(), self._optimizer.state_dict()
        return {"discriminator": weights, "optimizer": optimizer, "waiting": dict(self._waiting)}

    def next(self, latents: Tensor, others: Tensor) -> None:
        """Remember what to learn from: the codes (B, Z) of one half of a batch, and the items of the other half."""
        self._waiting = {"latents": latents, "others": others}

    def learn(self, model: LatentModel) -> None:
        """Learn from what was remembered, the other half being encoded by the model as it is now."""
        if not self._waiting:
            return
        with torch.no_grad():
            others = model.sample(model.encode(self._waiting["others"]))
        self._optimizer.zero_grad(set_to_none=True)
        loss: Tensor = self.correlation.discriminator_loss(self._waiting["latents"], others)
        loss.backward()
        self._optimizer.step()
        self._waiting = {}
