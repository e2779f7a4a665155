"""Losses are swapped by one line of YAML."""

from dataclasses import dataclass

import jsonargparse
import pytest
import yaml

import toolkit.losses
from toolkit import config
from toolkit.log import UserError
from toolkit.losses import AnnealedMultipleChoice, ExponentialTemperature, MeanSquaredError, MultipleChoice, SeparationLoss


def build(text: str) -> SeparationLoss:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--loss", type=SeparationLoss)
    return parser.instantiate(parser.parse_object(yaml.safe_load(text))).loss


@pytest.mark.parametrize("name", ["PermutationInvariant", "MultipleChoice", "RelaxedMultipleChoice", "AnnealedMultipleChoice"])
def test_a_name_is_enough(name: str) -> None:
    loss = build(f"loss: {name}")
    assert type(loss) is getattr(toolkit.losses, name)


def test_the_distance_by_name() -> None:
    loss = build("loss: {class_path: MultipleChoice, init_args: {pairwise: MeanSquaredError, scoring: 0.1}}")
    assert type(loss) is MultipleChoice
    assert type(loss.pairwise) is MeanSquaredError
    assert loss.scoring == 0.1


def test_the_schedule_too() -> None:
    temperature = "{class_path: ExponentialTemperature, init_args: {start: 2.0}}"
    loss = build(f"loss: {{class_path: AnnealedMultipleChoice, init_args: {{temperature: {temperature}}}}}")
    assert isinstance(loss, AnnealedMultipleChoice)
    assert isinstance(loss.schedule, ExponentialTemperature)
    assert loss.temperature == 2.0


def test_points_by_their_euclidean_distance() -> None:
    options = "{pairwise: EuclideanDistance, scoring: 1.0, negatives: 3, average: reference}"
    loss = build(f"loss: {{class_path: MultipleChoice, init_args: {options}}}")
    assert isinstance(loss, MultipleChoice)
    assert (loss.negatives, loss.average) == (3, "reference")


@dataclass
class Experiment:
    """What the test configures.

    Args:
        loss: the loss.
    """

    loss: SeparationLoss


def test_a_slip_is_told_with_its_neighbour() -> None:
    options = {"class_path": "NegativeSISDR", "init_args": {"clip_db": 30}}
    tree = {"loss": {"class_path": "PermutationInvariant", "init_args": {"pairwise": options}}}
    assert isinstance(config.Resolved(Experiment, tree).build().loss, SeparationLoss)
    with pytest.raises(UserError, match="did you mean 'MultipleChoice'"):
        config.Resolved(Experiment, {"loss": "MultipleChoise"})
    options["init_args"] = {"clip": 30}
    with pytest.raises(UserError, match="did you mean 'clip_db'"):
        config.Resolved(Experiment, tree)
