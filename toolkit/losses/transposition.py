"""What PESTO learns from: several losses of the same three views, weighted by their gradients (Riou et al. 2023, section 3)."""

from typing import NamedTuple

from torch import Tensor, nn

from toolkit.losses.equivariance import CrossEntropy, EquivarianceLoss, GradientNormWeights

INITIAL = {"invariance": 0.0, "shifted": 1.0, "equivariance": 0.0}  # weights at the first step, as in the released code


class Views(NamedTuple):
    """What a model makes of the same frames, as they are and changed.

    Attributes:
        plain: probabilities (B, P) of the frames.
        changed: of the frames, changed at random.
        transposed: of the frames, transposed, then changed at random.
        steps: (B,), bins that they were transposed by.
    """

    plain: Tensor
    changed: Tensor
    transposed: Tensor
    steps: Tensor


class TranspositionLoss(nn.Module):
    """A transposed sound is found as far away as it was transposed, a changed one where it was.

    Args:
        equivariance: of the changed and the transposed; null for none.
        shifted: of the same; null for none.
        invariance: of the plain and the changed; null for none.
        average: how much of the moving averages of the gradients' norms stays at each step, see `GradientNormWeights`.  (In
            the released code the weights stay as they begin where a loss is left out.)

    Attributes:
        parts: each loss of the last batch, by its name.

    Raises:
        ValueError: there is neither `equivariance` nor `shifted`, so that no pitch could be learned.
    """

    def __init__(
        self,
        equivariance: EquivarianceLoss | None = None,
        shifted: EquivarianceLoss | None = None,
        invariance: CrossEntropy | None = None,
        average: float = 0.999,
    ) -> None:
        super().__init__()
        if equivariance is None and shifted is None:
            raise ValueError("equivariance, shifted: expected one at least, found none")
        self.equivariance, self.shifted, self.invariance = equivariance, shifted, invariance
        present = {name: weight for name, weight in INITIAL.items() if getattr(self, name) is not None}
        self.weighting = GradientNormWeights(present, average)
        self.parts: dict[str, Tensor] = {}

    def forward(self, views: Views, last: Tensor | None = None) -> Tensor:
        """One number.

        Args:
            views: of a batch.
            last: weight of the layer that all of them come from, by whose gradients the losses are weighted; the plain mean of
                all losses if not given, which depends on nothing that came before.
        """
        parts = {
            "invariance": None if self.invariance is None else self.invariance(views.plain, views.changed),
            "shifted": None if self.shifted is None else self.shifted(views.changed, views.transposed, views.steps),
            "equivariance": (
                None if self.equivariance is None else self.equivariance(views.changed, views.transposed, views.steps)
            ),
        }
        present = {name: value for name, value in parts.items() if value is not None}
        self.parts = {name: value.detach() for name, value in present.items()}
        if last is None:
            return sum(present.values(), views.plain.new_zeros(())) / len(present)
        weighted: Tensor = self.weighting(present, last)
        return weighted
