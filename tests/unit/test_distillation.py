"""Distillation: feature losses against plain re-statements, KD against its definition, and what is asked of a configuration."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.log import UserError
from toolkit.losses import BinaryCrossEntropy, CosineDistanceDifference, DistanceCorrelation, Distillation
from toolkit.losses.distillation import same_rate
from toolkit.losses.tagging import Labelled


def plain_distance_correlation(student: Tensor, teacher: Tensor) -> float:
    """Of each frame by itself, distance by distance."""
    values = []
    for frame in range(student.shape[1]):
        centred = []
        for features in (student[:, frame], teacher[:, frame]):
            distances = torch.tensor(
                [[math.sqrt(float((a - b).square().sum()) + 1e-12) for a in features] for b in features], dtype=torch.float64
            )
            rows, columns = distances.mean(0)[None], distances.mean(1)[:, None]
            centred.append(distances - rows - columns + distances.mean())
        a, b = centred
        values.append(1 - (a * b).mean() / torch.sqrt((a * a).mean() * (b * b).mean() + 1e-9))
    return float(sum(values) / len(values))


def plain_cosine_difference(student: Tensor, teacher: Tensor) -> float:
    """Of each pair of clips by itself."""
    differences = []
    for frame in range(student.shape[1]):
        for one in range(len(student)):
            for other in range(len(student)):
                s, t = (F.cosine_similarity(x[one, frame], x[other, frame], dim=0) for x in (student, teacher))
                differences.append(abs(float(s - t)))
    return sum(differences) / len(differences)


@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_feature_losses_are_the_plain_ones(batch, frames, channels, dimensions, seed):
    torch.manual_seed(seed)
    student = torch.randn(batch, frames, channels, dtype=torch.float64)
    teacher = 3 + torch.randn(batch, frames, dimensions, dtype=torch.float64)
    assert float(DistanceCorrelation()(student, teacher)) == pytest.approx(plain_distance_correlation(student, teacher))
    assert float(CosineDistanceDifference()(student, teacher)) == pytest.approx(plain_cosine_difference(student, teacher))


def test_what_distance_correlation_does_not_mind():
    student = torch.randn(8, 5, 6, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))
    assert float(DistanceCorrelation()(student, 100 - 7 * student @ rotation)) == pytest.approx(0, abs=1e-6)
    assert float(DistanceCorrelation()(student, torch.randn_like(student))) > 0.1
    assert float(CosineDistanceDifference()(student, 7 * student @ rotation)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [DistanceCorrelation(), CosineDistanceDifference()])
def test_clips_that_are_the_same_have_finite_gradients(loss):
    student = torch.ones(4, 3, 5, requires_grad=True)
    loss(student, torch.randn(4, 3, 2)).backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("loss", [DistanceCorrelation(), CosineDistanceDifference()])
def test_single_precision_far_from_the_origin(loss):
    student, teacher = torch.randn(16, 10, 64), 1000 + torch.randn(16, 10, 128)
    torch.testing.assert_close(loss(student, teacher).double(), loss(student.double(), teacher.double()), atol=1e-4, rtol=0)


TAGS, FINAL = 5, ("stages.2",)


def batch_of(examples: int = 4) -> tuple[Tensor, Labelled]:
    """Logits and what belongs to them: 10 student frames, 4 of the teacher."""
    torch.manual_seed(1)
    labels, mask = torch.randint(2, (examples, TAGS)).double(), torch.randint(2, (examples, TAGS)).double()
    activations = {f"stages.{tap}": torch.randn(examples, 8, 2, 10, dtype=torch.float64).requires_grad_() for tap in range(3)}
    embeddings = torch.randn(examples, 4, 3, dtype=torch.float64)
    return torch.randn(examples, TAGS, dtype=torch.float64), Labelled(labels, mask, embeddings, activations)


class Teacher(nn.Module):
    """Logits of the embeddings' mean."""

    def __init__(self, tags: int = TAGS) -> None:
        super().__init__()
        self.linear = nn.Linear(3, tags, dtype=torch.float64)

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.linear(embeddings.mean(1))


@pytest.mark.parametrize(
    ("frames", "others", "repeated", "others_repeated"),
    [(62, 10, 1, 6), (62, 11, 1, 6), (30, 30, 1, 1), (30, 31, 1, 1), (15, 30, 2, 1), (15, 1, 1, 15), (1, 4, 4, 1)],
)
def test_frames_are_repeated_as_in_the_released_configurations(frames, others, repeated, others_repeated):
    student, teacher = torch.arange(float(frames))[None, :, None], torch.arange(float(others))[None, :, None]
    a, b = same_rate(student, teacher)
    assert a.shape == b.shape
    assert a[0, :, 0].tolist() == [frame // repeated for frame in range(a.shape[1])]
    assert b[0, :, 0].tolist() == [frame // others_repeated for frame in range(a.shape[1])]
    assert a.shape[1] == min(frames * repeated, others * others_repeated)


def test_embeddings_as_teachers():
    logits, batch = batch_of()
    loss = Distillation(0.8, stages=FINAL)
    assert loss.taps == {"stages.2": "stages.2"}
    student = batch.activations["stages.2"].mean(2).mT[:, :8]
    repeated = torch.stack([batch.embeddings[:, frame // 2] for frame in range(8)], dim=1)
    expected = 0.2 * BinaryCrossEntropy()(logits, batch) + 0.8 * DistanceCorrelation()(student, repeated)
    torch.testing.assert_close(loss(logits, batch), expected)
    assert set(loss.parts) == {"cross_entropy", "features"}


def test_the_mean_of_the_stages():
    logits, batch = batch_of()
    both = Distillation(1.0, stages=("stages.0", "stages.2"), features=CosineDistanceDifference(), offset=2.0)
    alone = [Distillation(1.0, stages=(stage,), features=CosineDistanceDifference(), offset=2.0) for stage in both.taps]
    torch.testing.assert_close(both(logits, batch), sum(loss(logits, batch) for loss in alone) / 2)
    shifted = batch._replace(embeddings=batch.embeddings - 2)
    torch.testing.assert_close(
        Distillation(1.0, stages=FINAL, features=CosineDistanceDifference())(logits, shifted), alone[1](logits, batch)
    )


def test_a_stage_may_have_no_rows_left():
    logits, batch = batch_of()
    flat = batch._replace(activations={"stages.2": batch.activations["stages.2"].mean(2)})
    loss = Distillation(0.8, stages=FINAL)
    torch.testing.assert_close(loss(logits, flat), loss(logits, batch))


def test_knowledge_of_a_model_trained_on_the_embeddings():
    logits, batch = batch_of()
    loss, teacher = Distillation(0.9, knowledge=1.0, teacher="exp/teacher_lr"), Teacher().train()
    asked: list[Path] = []
    loss.prepare(lambda exp: asked.append(exp) or teacher)
    s, t = (torch.sigmoid(x / 2) for x in (logits, teacher(batch.embeddings)))
    divergence = t * (t / s).log() + (1 - t) * ((1 - t) / (1 - s)).log()
    knowledge = 4 * divergence[batch.mask > 0].mean()
    torch.testing.assert_close(loss(logits, batch), 0.1 * BinaryCrossEntropy()(logits, batch) + 0.9 * knowledge)
    assert asked == [Path("exp/teacher_lr")]
    assert not teacher.training
    assert float(loss(teacher(batch.embeddings), batch)) == pytest.approx(float(0.1 * loss.parts["cross_entropy"]))


def test_both_at_once_and_the_teacher_is_not_trained():
    logits, batch = batch_of()
    logits.requires_grad_()
    loss = Distillation(0.9, knowledge=0.3, stages=FINAL, teacher="exp/teacher_lr")
    teacher = Teacher()
    loss.prepare(lambda exp: teacher)
    total = loss(logits, batch)
    total.backward()
    parts = loss.parts
    torch.testing.assert_close(
        total, 0.1 * parts["cross_entropy"] + 0.9 * (0.3 * parts["knowledge"] + 0.7 * parts["features"]), check_stride=False
    )
    assert not any(part.requires_grad for part in parts.values())
    assert logits.grad is not None
    assert batch.activations["stages.2"].grad is not None
    assert teacher.linear.weight.grad is None
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}


def test_a_teacher_that_does_not_fit():
    logits, batch = batch_of()
    loss = Distillation(0.9, knowledge=1.0, teacher="exp/teacher_lr")
    with pytest.raises(UserError, match="the model of exp/teacher_lr was not loaded"):
        loss(logits, batch)
    loss.prepare(lambda exp: Teacher(tags=7))
    with pytest.raises(UserError, match="expected a model of 5 tags in exp/teacher_lr, found 7"):
        loss(logits, batch)


def test_a_batch_without_labels():
    logits, batch = batch_of()
    loss = Distillation(0.9, knowledge=0.3, stages=FINAL, teacher="exp/teacher_lr")
    loss.prepare(lambda exp: Teacher())
    assert loss(logits, batch._replace(mask=torch.zeros_like(batch.mask))).isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 1.1, "stages": FINAL}, "weight: expected 0 to 1, found 1.1"),
        ({"weight": 0.5, "knowledge": -0.1}, "knowledge: expected 0 to 1, found -0.1"),
        ({"weight": 0.5}, "stages: expected at least one module, as knowledge is below 1, found none"),
        ({"weight": 0.5, "knowledge": 0.3, "stages": FINAL}, "teacher: expected the folder of an experiment"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        Distillation(**options)
