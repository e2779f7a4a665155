"""Tags learned from labels and from a teacher: its embeddings, and what a model trained on these makes of a clip."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from toolkit.dsp.precision import full_precision
from toolkit.log import UserError
from toolkit.losses.feature_losses import DistanceCorrelation, FeatureLoss
from toolkit.losses.tagging import BinaryCrossEntropy, Labelled, TaggingLoss


class Distillation(TaggingLoss):
    """Cross-entropy of the labels and a teacher's part (Ding & Lerch 2023, "Audio embeddings as teachers", section 3).

    (1 - weight) · cross-entropy + weight · (knowledge · KD + (1 - knowledge) · features).  KD is the divergence of the
    student's tags from those of a model trained on the embeddings (Hinton et al. 2015, for tags one by one), times the square
    of the temperature; features is the mean of the stages' feature losses.

    Args:
        weight: the teacher's part, λ.
        knowledge: share of KD in it: 0 reads no `teacher`, 1 no `stages`.
        features: compares a stage's features with the embeddings; distance correlation if null.
        stages: modules of the student that are compared, named as in `model.named_modules()`, that give (B, C, L), or
            (B, C, F, L), of which the mean over the rows is taken.
        offset: taken off the embeddings before they are compared.
        teacher: folder of the experiment that trained a model on the embeddings, e.g. ``exp/teacher_lr``.
        temperature: that the logits of both models are divided by in KD.

    Raises:
        ValueError: a share outside 0 to 1, or nothing there that has a share.
    """

    needs_teacher = True

    def __init__(
        self,
        weight: float,
        knowledge: float = 0.0,
        features: FeatureLoss | None = None,
        stages: tuple[str, ...] = (),
        offset: float = 0.0,
        teacher: str | None = None,
        temperature: float = 2.0,
    ) -> None:
        super().__init__()
        for name, share in (("weight", weight), ("knowledge", knowledge)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {share}")
        if knowledge < 1 and not stages:
            raise ValueError("stages: expected at least one module, as knowledge is below 1, found none")
        if knowledge > 0 and teacher is None:
            raise ValueError("teacher: expected the folder of an experiment, as knowledge is above 0, found null")
        self.weight, self.knowledge, self.temperature, self.offset = weight, knowledge, temperature, offset
        self.features = features or DistanceCorrelation()
        self.labels = BinaryCrossEntropy()
        self.teacher = teacher if knowledge > 0 else None
        self.weights = () if self.teacher is None else (Path(self.teacher) / "model.safetensors",)
        self.taps = {stage: stage for stage in stages} if knowledge < 1 else {}
        self._taught: tuple[nn.Module, ...] = ()  # in a tuple, so that it is neither trained nor saved with the student

    def prepare(self, load: Callable[[Path], nn.Module]) -> None:
        """Load the teacher's model, where there is one."""
        if self.teacher is not None:
            self._taught = (load(Path(self.teacher)).eval().requires_grad_(False),)

    def forward(self, logits: Tensor, batch: Labelled) -> Tensor:
        """The loss of a batch (one number) of logits (B, K).

        Raises:
            UserError: the teacher's model was not loaded, or has other tags.
        """
        labels, none = self.labels(logits, batch), logits.new_zeros(())
        features = self._features(batch) if self.taps else none
        knowledge = self._knowledge(logits, batch) if self.teacher is not None else none
        parts = {"cross_entropy": labels, "features": features, "knowledge": knowledge}
        self.parts = {name: part.detach() for name, part in parts.items() if part is not none}
        return (1 - self.weight) * labels + self.weight * ((1 - self.knowledge) * features + self.knowledge * knowledge)

    def _features(self, batch: Labelled) -> Tensor:
        """Mean of the stages' losses."""
        losses = []
        for stage in self.taps:
            student = batch.activations[stage]
            with full_precision(student):
                student = student.to(torch.promote_types(student.dtype, torch.float32))
                student = (student.mean(2) if student.ndim == 4 else student).mT
                losses.append(self.features(*same_rate(student, batch.embeddings - self.offset)))
        return torch.stack(losses).mean()

    def _knowledge(self, logits: Tensor, batch: Labelled) -> Tensor:
        """Divergence of the tags' softened probabilities: a cross-entropy less what the teacher itself would have."""
        if not self._taught:
            raise UserError(f"loss.teacher: the model of {self.teacher} was not loaded before training")
        (model,) = self._taught
        with torch.no_grad():
            known = model.to(logits.device)(batch.embeddings)
        if known.shape != logits.shape:
            raise UserError(
                f"loss.teacher: expected a model of {logits.shape[1]} tags in {self.teacher}, found {known.shape[1]}. "
                "Next: train one on this corpus"
            )
        soft = batch._replace(labels=(known / self.temperature).sigmoid())
        divergence = self.labels(logits / self.temperature, soft) - self.labels(known / self.temperature, soft)
        return divergence * self.temperature**2


def same_rate(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, L, C) and (B, L', D) of the same clips brought to one number of frames.

    The frames of the slower one are repeated, all as often, and what then is left over at an end is cut: a clip's one vector
    stands at every frame.  These are the repetitions of Ding & Lerch's released configurations: 6 of the teacher's frames at 62
    of the student's and 10 or 11 of the teacher's, 2 of the student's at 15 and 30.
    """
    frames, others = student.shape[1], teacher.shape[1]
    if frames < others:
        student = student.repeat_interleave(round(others / frames), 1)
    else:
        teacher = teacher.repeat_interleave(round(frames / others), 1)
    shared = min(student.shape[1], teacher.shape[1])
    return student[:, :shared], teacher[:, :shared]
