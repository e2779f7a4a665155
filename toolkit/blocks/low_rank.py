"""Low-rank adapters: what a linear layer learns anew is the product of two thin matrices (Hu et al. 2021, "LoRA").

K of them lie side by side in each adapted layer, one a hypothesis (Letzelter et al. 2025, "LoRA-MCL").  The hypotheses share a
batch: of N = B · K rows, row b · K + k is example b as hypothesis k sees it, so that one pass through a model of any kind, fed
with `x.repeat_interleave(K, 0)`, gives all of them and `output.unflatten(0, (-1, K))` sorts them.  Layers whose first dimension
is not the batch (or which fold others into it from the left) cannot hold more than one.

Names of weights stay as they were: an adapted layer `query` has `query.weight` and `query.bias` as before, and
`query.low_rank.down` and `.up` besides.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LowRankUpdate(nn.Module):
    """alpha / rank · up · down · dropout(x), with matrices of its own for each hypothesis; zero before training.

    Args:
        inputs: values in.
        outputs: values out.
        hypotheses: K.
        rank: r, values between the two matrices.
        alpha: numerator of the scale.
        dropout: share of the inputs left out while training.
        like: whose device and type the matrices take.

    Attributes:
        down: (K, r, inputs).
        up: (K, outputs, r).
        only: the one hypothesis that all rows belong to; None for all in turn.
        enabled: whether it adds anything.

    Raises:
        ValueError: the rank or the number of hypotheses is below 1.
    """

    def __init__(
        self, inputs: int, outputs: int, hypotheses: int, rank: int, alpha: float, dropout: float, like: Tensor
    ) -> None:
        super().__init__()
        if min(hypotheses, rank) < 1:
            raise ValueError(f"low-rank adapters: expected a rank and hypotheses of at least 1, found {rank} and {hypotheses}")
        self.hypotheses, self.scale, self.share = hypotheses, alpha / rank, dropout
        self.down = nn.Parameter(like.new_empty(hypotheses, rank, inputs))
        self.up = nn.Parameter(like.new_zeros(hypotheses, outputs, rank))
        nn.init.uniform_(self.down, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs))
        self.only: int | None = None
        self.enabled = True

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, …, inputs) to (N, …, outputs), N a multiple of K unless one hypothesis is chosen.

        Raises:
            ValueError: the rows are not those of K hypotheses.
        """
        x = F.dropout(x, self.share, self.training)
        if self.only is not None:
            return F.linear(F.linear(x, self.down[self.only]), self.up[self.only]) * self.scale
        if len(x) % self.hypotheses:
            raise ValueError(f"expected rows of {self.hypotheses} hypotheses, found {len(x)}: repeat_interleave the batch")
        narrow = torch.einsum("bk...i,kri->bk...r", x.unflatten(0, (-1, self.hypotheses)), self.down)
        return torch.einsum("bk...r,kor->bk...o", narrow, self.up).flatten(0, 1) * self.scale

    def delta(self, hypothesis: int) -> Tensor:
        """What a hypothesis adds to the weight, (outputs, inputs)."""
        return self.up[hypothesis] @ self.down[hypothesis] * self.scale

    def extra_repr(self) -> str:
        """Its sizes."""
        hypotheses, rank, inputs = self.down.shape
        return f"{inputs}, {self.up.shape[1]}, hypotheses={hypotheses}, rank={rank}, scale={self.scale:g}"


class LowRankLinear(nn.Linear):
    """A linear layer with low-rank adapters; it takes over the weights of `base`."""

    merged: Tensor | None

    def __init__(self, base: nn.Linear, hypotheses: int = 1, rank: int = 8, alpha: float = 8.0, dropout: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        self.low_rank = LowRankUpdate(
            base.in_features, base.out_features, hypotheses, rank, alpha, dropout, like=base.weight.detach()
        )
        self.register_buffer("merged", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, …, in) to (N, …, out), N = B · K rows."""
        if self.merged is not None:
            return F.linear(x, self.merged, self.bias)
        plain = F.linear(x, self.weight, self.bias)
        return plain + self.low_rank(x) if self.low_rank.enabled else plain

    def merge(self, hypothesis: int) -> None:
        """Go on with one matrix, the base's plus this hypothesis'; the weights themselves stay what they are."""
        self.merged = (self.weight + self.low_rank.delta(hypothesis)).detach()

    def unmerge(self) -> None:
        """Go on with base and adapters."""
        self.merged = None

    def plain(self, hypothesis: int) -> nn.Linear:
        """An ordinary layer that computes what this hypothesis does."""
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        layer.weight = nn.Parameter((self.weight + self.low_rank.delta(hypothesis)).detach().clone())
        if self.bias is not None:
            layer.bias = nn.Parameter(self.bias.detach().clone())
        return layer.train(self.training)


class LowRankAttention(nn.MultiheadAttention):
    """torch's attention with low-rank adapters of its four projections; it takes over the weights of `base`.

    Raises:
        ValueError: keys or values have sizes of their own, or constants are put beside them.
    """

    merged: Tensor | None
    out_proj: LowRankLinear  # type: ignore[assignment]

    def __init__(
        self, base: nn.MultiheadAttention, hypotheses: int = 1, rank: int = 8, alpha: float = 8.0, dropout: float = 0.0
    ) -> None:
        if not base._qkv_same_embed_dim or base.bias_k is not None or base.add_zero_attn:
            raise ValueError("low-rank adapters: expected attention without bias_k, add_zero_attn, kdim and vdim")
        nn.Module.__init__(self)
        self.embed_dim, self.num_heads, self.head_dim = base.embed_dim, base.num_heads, base.head_dim
        self.dropout, self.batch_first = base.dropout, base.batch_first
        self._qkv_same_embed_dim = False  # which keeps nn.TransformerEncoderLayer from going around `forward`
        self.in_proj_weight, self.in_proj_bias = base.in_proj_weight, base.in_proj_bias
        self.low_rank = nn.ModuleList(
            LowRankUpdate(base.embed_dim, base.embed_dim, hypotheses, rank, alpha, dropout, like=base.in_proj_weight.detach())
            for _ in range(3)
        )
        self.out_proj = LowRankLinear(base.out_proj, hypotheses, rank, alpha, dropout)
        self.register_buffer("merged", None, persistent=False)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As torch's: (N, L, C) and (N, S, C), or (L, N, C) without `batch_first`; N = B · K rows."""
        if not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        q, k, v = (self._project(number, x) for number, x in enumerate((query, key, value)))
        scores = q @ k.mT / math.sqrt(self.head_dim) + self._masks(q, k, attn_mask, key_padding_mask)
        weights = scores.softmax(-1)
        found = F.dropout(weights, self.dropout, self.training) @ v
        output = self.out_proj(found.transpose(1, 2).flatten(2))
        output = output if self.batch_first else output.transpose(0, 1)
        if not need_weights:
            return output, None
        return output, weights.mean(1) if average_attn_weights else weights

    def merge(self, hypothesis: int) -> None:
        """Go on with one set of matrices, the base's plus this hypothesis'."""
        delta = torch.cat([update.delta(hypothesis) for update in self._updates()])
        self.merged = (self.in_proj_weight + delta).detach()

    def unmerge(self) -> None:
        """Go on with base and adapters."""
        self.merged = None

    def plain(self, hypothesis: int) -> nn.MultiheadAttention:
        """Ordinary attention that computes what this hypothesis does."""
        layer = nn.MultiheadAttention(
            self.embed_dim, self.num_heads, self.dropout, self.in_proj_bias is not None, batch_first=self.batch_first
        )
        state = {"in_proj_weight": self.in_proj_weight + torch.cat([update.delta(hypothesis) for update in self._updates()])}
        if self.in_proj_bias is not None:
            state["in_proj_bias"] = self.in_proj_bias
        layer.load_state_dict(state | {f"out_proj.{name}": w for name, w in self.out_proj.plain(hypothesis).named_parameters()})
        return layer.to(self.in_proj_weight).train(self.training)

    def _updates(self) -> list[LowRankUpdate]:
        return [update for update in self.low_rank if isinstance(update, LowRankUpdate)]

    def _project(self, number: int, x: Tensor) -> Tensor:
        """The projection of that number of (N, L, C), as (N, heads, L, C / heads)."""
        rows = slice(number * self.embed_dim, (number + 1) * self.embed_dim)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[rows]
        weight = self.in_proj_weight if self.merged is None else self.merged
        projected, update = F.linear(x, weight[rows], bias), self._updates()[number]
        if self.merged is None and update.enabled:
            projected = projected + update(x)
        return projected.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _masks(self, q: Tensor, k: Tensor, attention: Tensor | None, padding: Tensor | None) -> Tensor:
        """What is added to the scores (N, heads, L, S)."""
        total = q.new_zeros(())
        if attention is not None:
            attention = attention.unflatten(0, (-1, self.num_heads)) if attention.ndim == 3 else attention
            total = total + _additive(attention, q)
        if padding is not None:
            total = total + _additive(padding, q)[:, None, None]
        return total


class LowRankAdapters:
    """Which layers of a model get low-rank adapters, and what of the model itself goes on learning.

    Args:
        layers: patterns of the names of linear layers and of torch's attention layers (`*` stands for anything, dots too).
        hypotheses: K, adapters side by side in each layer.
        rank: r, values between the two matrices of an adapter.
        alpha: what an adapter adds is scaled by alpha / r.
        dropout: share of an adapter's inputs left out while training.
        trained: patterns of the names of the model's own parameters that are trained too; all others are frozen.
    """

    def __init__(
        self,
        layers: Sequence[str],
        hypotheses: int = 1,
        rank: int = 8,
        alpha: float = 8.0,
        dropout: float = 0.0,
        trained: Sequence[str] = (),
    ) -> None:
        self.layers, self.hypotheses, self.trained = list(layers), hypotheses, list(trained)
        self.rank, self.alpha, self.dropout = rank, alpha, dropout

    def put_into(self, model: nn.Module) -> list[str]:
        """Replace the layers in place, freeze the rest, and tell the names of what was replaced.

        Raises:
            ValueError: a pattern fits no layer, or one that holds adapters already, or a part of torch's attention alone.
        """
        chosen = self._choose(model)
        replaced: dict[int, nn.Module] = {}  # a layer that stands in two places stays one layer
        options = (self.hypotheses, self.rank, self.alpha, self.dropout)
        for parameter_name, parameter in model.named_parameters():
            parameter.requires_grad_(any(fnmatchcase(parameter_name, pattern) for pattern in self.trained))
        for name, layer in chosen:
            if id(layer) not in replaced:
                attention = isinstance(layer, nn.MultiheadAttention)
                replaced[id(layer)] = LowRankAttention(layer, *options) if attention else LowRankLinear(layer, *options)  # type: ignore[arg-type]
                replaced[id(layer)].train(layer.training)
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, replaced[id(layer)])
        return [name for name, _ in chosen]

    def _choose(self, model: nn.Module) -> list[tuple[str, nn.Module]]:
        layers = {name: m for name, m in model.named_modules(remove_duplicate=False) if name and _adaptable(m)}
        inside = {name for name in layers if isinstance(layers.get(name.rpartition(".")[0]), nn.MultiheadAttention)}
        chosen: dict[str, nn.Module] = {}
        for pattern in self.layers:
            fitting = {name: layer for name, layer in layers.items() if fnmatchcase(name, pattern)}
            fitting = {name: m for name, m in fitting.items() if name not in inside or name.rpartition(".")[0] not in fitting}
            if not fitting:
                known = ", ".join(name for name in layers if name not in inside) or "none"
                raise ValueError(f"low-rank adapters: no layer fits {pattern!r}; there are {known}")
            chosen |= fitting
        for name, layer in chosen.items():
            if name in inside:
                raise ValueError(f"low-rank adapters: {name} is a part of attention; name {name.rpartition('.')[0]} instead")
            if isinstance(layer, LowRankLinear | LowRankAttention):
                raise ValueError(f"low-rank adapters: {name} holds some already")
        return list(chosen.items())


def adapted_layers(model: nn.Module) -> list[tuple[str, LowRankLinear | LowRankAttention]]:
    """The layers that hold adapters, by name; in an attention layer, the output's projection is one of its own."""
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, LowRankLinear | LowRankAttention)]


def merge(model: nn.Module, hypothesis: int) -> None:
    """Let all adapted layers go on as this hypothesis, each with one matrix; the batch is not repeated then."""
    for _, layer in adapted_layers(model):
        layer.merge(hypothesis)


def unmerge(model: nn.Module) -> None:
    """Undo `merge`, exactly."""
    for _, layer in adapted_layers(model):
        layer.unmerge()


@contextlib.contextmanager
def one_hypothesis(model: nn.Module, hypothesis: int | None) -> Iterator[None]:
    """Run the model as this hypothesis alone, with gradients, or for None as its base without adapters."""
    updates = [module for module in model.modules() if isinstance(module, LowRankUpdate)]
    before = [(update.only, update.enabled) for update in updates]
    for update in updates:
        update.only, update.enabled = hypothesis, hypothesis is not None
    try:
        yield
    finally:
        for update, (only, enabled) in zip(updates, before, strict=True):
            update.only, update.enabled = only, enabled


def without_adapters(model: nn.Module, hypothesis: int) -> nn.Module:
    """A copy of ordinary layers that computes what this hypothesis does."""
    single = copy.deepcopy(model)
    for name, layer in adapted_layers(model):
        parent, _, last = name.rpartition(".")
        owner = single.get_submodule(parent)
        if type(owner) is not nn.MultiheadAttention:  # which has brought its own
            setattr(owner, last, layer.plain(hypothesis))
    return single


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """The adapters' weights alone, which `model.load_state_dict(…, strict=False)` reads."""
    return {name: weight for name, weight in model.state_dict().items() if is_of_adapter(name)}


def is_of_adapter(name: str) -> bool:
    """Whether a weight of that name is an adapter's."""
    return name.startswith("low_rank.") or ".low_rank." in name


def _adaptable(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.MultiheadAttention)


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask of truths (true: not to be seen) or of numbers as numbers."""
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, -math.inf)
