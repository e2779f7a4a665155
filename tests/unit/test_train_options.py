"""How training is computed: the numbers, the memory's order, what is kept for the backward pass."""

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from toolkit.config import Resolved
from toolkit.data.examples import ExampleSource
from toolkit.data.loader import batches
from toolkit.log import UserError
from toolkit.models.taps import tap
from toolkit.tasks.options import TrainOptions
from toolkit.train import arithmetic, distributed, prefetch, recompute

CPU = torch.device("cpu")


class Block(nn.Module):
    """A convolution with whatever makes it hard to compute something a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(4, 4, 1)
        )

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + scale * self.layers(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, scale=0.5)
        return x


def learned(model: nn.Module, compiled: Callable[[nn.Module], nn.Module] = lambda model: model) -> dict[str, Tensor]:
    """What a forward and a backward pass leave in a model, and the random generator's next number."""
    torch.manual_seed(1)
    compiled(model)(torch.randn(2, 4, 5, 6)).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {**gradients, **dict(model.named_buffers()), "next": torch.rand(1)}


@pytest.mark.parametrize("chosen", [["Block"], ["blocks.*"], ["blocks.0", "blocks.2.layers"], ["BatchNorm2d", "Dropout"]])
def test_activations_computed_twice_give_the_same_gradients(chosen: list[str]) -> None:
    model = Net()
    other = copy.deepcopy(model)
    recompute.apply(other, chosen)
    expected, found = learned(model), learned(other)
    assert list(model.state_dict()) == list(other.state_dict())
    assert all(found[name].equal(value) for name, value in expected.items())  # statistics and random numbers too


def test_fewer_activations_are_kept() -> None:
    model, x = Net(), torch.randn(2, 4, 5, 6)

    def kept() -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            model(x)
        return sum(sizes)

    before = kept()
    assert recompute.apply(model, ["Block"]) == ["blocks.0", "blocks.1", "blocks.2"]
    assert kept() < before / 2


def test_of_modules_within_each_other_the_outermost_counts() -> None:
    assert recompute.apply(Net(), ["blocks.1.*", "blocks.1"]) == ["blocks.1"]


def test_a_copy_computes_with_its_own_weights() -> None:
    model = Net()
    recompute.apply(model, ["Block"])
    average, x = copy.deepcopy(model), torch.randn(1, 4, 3, 3)
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.zero_()
    assert average(x).equal(x)
    assert not model(x).equal(x)


def test_a_tap_on_a_chosen_module_keeps_its_gradient() -> None:
    model = Net()
    recompute.apply(model, ["Block"])
    with tap(model, {"middle": "blocks.1"}) as taps:
        model(torch.randn(2, 4, 5, 6))
    taps["middle"].sum().backward()
    assert model.blocks[1].layers[0].weight.grad.abs().sum() > 0
    assert model.blocks[2].layers[0].weight.grad is None


def test_compiled_statistics_are_updated_once() -> None:
    model = Net()
    del model.blocks[1:]
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    other = copy.deepcopy(model)
    recompute.apply(other, ["Block"])
    found = learned(other, lambda model: torch.compile(model, backend="aot_eager", fullgraph=True))
    torch.testing.assert_close(found, learned(model))


def test_an_unknown_module_is_told_with_the_blocks_there_are() -> None:
    with pytest.raises(UserError, match=r"train\.checkpoint_activations: .*found 'Blok'; did you mean 'Block'\?"):
        recompute.apply(Net(), ["Blok"])
    with pytest.raises(UserError, match=r"found 'separator\.\*'; known: Block, Sequential"):
        recompute.apply(Net(), ["separator.*"])


def test_channels_last_keeps_weights_and_output_in_that_order() -> None:
    model, x = Net(), torch.randn(2, 4, 5, 6)
    expected = model.eval()(x)
    arithmetic.channels_last(model)
    assert model.blocks[0].layers[0].weight.is_contiguous(memory_format=torch.channels_last)
    found = model.blocks[0].layers(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(x), expected)
    with pytest.raises(UserError, match=r"train\.channels_last: expected a model with two-dimensional convolutions"):
        arithmetic.channels_last(nn.Conv1d(1, 1, 1))


def test_half_precision_on_a_cpu_is_refused_before_anything_starts() -> None:
    with pytest.raises(UserError, match=r"found fp16\. Next: --train\.precision bf16"):
        arithmetic.arrange(Net(), TrainOptions(precision="fp16"), CPU)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_is_that_of_the_products(precision: str, dtype: torch.dtype) -> None:
    arithmetic.choose(precision, CPU)
    with arithmetic.autocast(precision, CPU):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


@pytest.mark.parametrize(
    ("device", "processes", "told"),
    [
        ("auto", 4, "--ngpu 4: expected no more than the GPUs of this machine, found 2. Next: --ngpu 2"),
        ("cuda:2", 1, "--device cuda:2: expected a number below 2"),
        ("cuda:1", 2, "--device cuda:1: expected a GPU for each of 2 processes"),
    ],
)
def test_gpus_that_are_not_there_are_told(device: str, processes: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, str(processes))
    with pytest.raises(UserError, match=told):
        distributed.start(device)


class Indices(ExampleSource):
    """Eleven examples; a batch tells which ones are in it."""

    def __len__(self) -> int:
        return 11

    def batch(self, epoch: int, indices: Sequence[int], memory: object = None) -> tuple[list[int]]:
        return (list(indices),)


def test_an_epoch_is_made_of_whole_groups() -> None:
    options = {"batch_size": 2, "seed": 0, "epoch": 0}
    pairs = [indices for (indices,) in batches(Indices(), **options)]
    assert len(pairs) == 5
    assert [indices for (indices,) in batches(Indices(), group=2, **options)] == pairs[:4]
    with pytest.raises(UserError, match=r"at least 12 examples for a step of 6 batches, found 11.* --train\.accumulate"):
        next(batches(Indices(), group=6, **options))


def test_batches_are_handed_out_in_order() -> None:
    rows = [(torch.full((2,), float(number)), [str(number)]) for number in range(4)]

    class Pair(tuple):  # what a NamedTuple is to the copying
        def __new__(cls, *parts: object) -> "Pair":
            return super().__new__(cls, parts)

    devices = [CPU] + [torch.device("cuda", 0)] * torch.cuda.is_available()
    for device in devices:
        found = list(prefetch.ahead([Pair(tensor, ids) for tensor, ids in rows], device))
        assert [(int(tensor[0]), ids) for tensor, ids in found] == [(n, [str(n)]) for n in range(4)]
        assert all(tensor.device.type == device.type for tensor, _ in found)


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match=r"train\.compile: expected true or false with train\.accumulate above 1"):
        TrainOptions(compile="reduce-overhead", accumulate=2)
    with pytest.raises(
        ValueError, match=r"train\.compile: expected true, false, reduce-overhead or max-autotune, found 'fast'"
    ):
        TrainOptions(compile="fast")
    with pytest.raises(ValueError, match=r"train\.ema_epoch: expected decays between 0 and 1, found 2"):
        TrainOptions(ema_epoch=[2.0])
    with pytest.raises(UserError, match=r"has no option 'channel_last'; did you mean 'channels_last'\?"):
        Resolved(TrainOptions, {"channel_last": True})
    assert Resolved(TrainOptions, {"compile": "max-autotune"}).build().compile == "max-autotune"
    assert Resolved(TrainOptions, {"compile": True}).build().compile is True
