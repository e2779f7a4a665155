"""What `toolkit.load` gives has in common, whatever its task."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from toolkit.infer.use import Usable, Use


class Doubling(Usable):
    def __init__(self) -> None:
        self.task = SimpleNamespace(model=torch.nn.Linear(1, 1))

    @property
    def use(self) -> Use:
        return Use("twice as much", "numbers", "", "model.double(3)")


def test_the_model_goes_where_it_is_told() -> None:
    loaded, other = Doubling(), Doubling()
    assert loaded.device == torch.device("cpu")
    assert loaded.to("meta") is loaded
    assert loaded.device == loaded.task.model.weight.device == torch.device("meta")
    assert other.device == other.task.model.weight.device == torch.device("cpu")


@pytest.mark.parametrize("device", ["quantum", "cuda:99", 3.5])
def test_where_it_cannot_go_it_stays(device: Any) -> None:
    loaded = Doubling()
    with pytest.raises(ValueError, match=r"^device: expected cpu, cuda or cuda:N that torch can use here, found .*\(.+\)$"):
        loaded.to(device)
    assert loaded.device == loaded.task.model.weight.device == torch.device("cpu")
