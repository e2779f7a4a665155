"""Random forests, the baseline of OpenMIC-2018: fitted by scikit-learn, kept and asked as plain tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolkit import progress
from toolkit.blocks.slots import check_shape
from toolkit.models.base import TaggingModel

EPS = 1e-7  # the logit of a probability of 0 or 1 stays finite
DEEPEST = 12  # a tree of depth d takes 2^d leaves


class RandomForest(TaggingModel):
    """One random forest for each tag over the frames' mean (Humphrey, Durand & McFee 2018, "OpenMIC-2018", and its notebook).

    Each forest is fitted to the clips that are labelled for its tag, a label of one half being positive.  A tree is kept
    complete: where scikit-learn's ends early, all that lies below has the same value.  Of a tag that is labelled nowhere, the
    probability is one half.  `fit` needs scikit-learn, the rest does not.

    Args:
        tags: K, how many tags.
        trees: of each forest.
        depth: questions that a tree asks at most.
        seed: of the bootstrap samples and the features tried, the same for each tag.

    Raises:
        ValueError: no trees, or too shallow or deep ones.
    """

    needs_statistics = True
    feature: Tensor
    threshold: Tensor
    leaf: Tensor

    def __init__(self, tags: int, trees: int = 100, depth: int = 8, seed: int = 0) -> None:
        super().__init__()
        if trees < 1:
            raise ValueError(f"trees: expected at least 1, found {trees}")
        if not 1 <= depth <= DEEPEST:
            raise ValueError(f"depth: expected 1 to {DEEPEST}, found {depth}")
        self.tags, self.trees, self.depth, self.seed = tags, trees, depth, seed
        nodes, leaves = 2**depth - 1, 2**depth
        self.register_buffer("feature", torch.zeros(tags * trees, nodes, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(tags * trees, nodes))
        self.register_buffer("leaf", torch.full((tags * trees, leaves), 0.5))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, K) of stored features (B, L, D)."""
        return torch.logit(self.probabilities(self.embed(inputs)), eps=EPS)

    def embed(self, inputs: Tensor) -> Tensor:
        """The frames' mean (B, D)."""
        check_shape(inputs, "stored features", batch=None, frames=None, features=None)
        return inputs.sum(1) / inputs.shape[1]

    def probabilities(self, means: Tensor) -> Tensor:
        """Probabilities (B, K) of means (B, D): of a tag, the mean of what its trees say."""
        tree = torch.arange(self.tags * self.trees, device=means.device)
        node = torch.zeros(means.shape[0], len(tree), dtype=torch.long, device=means.device)
        for _ in range(self.depth):
            answer = means.gather(1, self.feature[tree, node].long()) > self.threshold[tree, node]
            node = 2 * node + 1 + answer.long()
        said = self.leaf[tree, node - self.feature.shape[1]]
        return said.unflatten(1, (self.tags, self.trees)).mean(-1)

    def fit(self, inputs: Tensor, labels: Tensor, mask: Tensor) -> None:
        """Fit a forest to each tag: features (N, L, D), labels and mask (N, K)."""
        from sklearn.ensemble import RandomForestClassifier

        means = self.embed(inputs).cpu().numpy()
        positive, labelled = (labels >= 0.5).cpu().numpy(), (mask > 0).cpu().numpy()
        for tag in progress.track(range(self.tags), "random forests"):
            rows = labelled[:, tag]
            if not rows.any():
                continue
            forest = RandomForestClassifier(self.trees, max_depth=self.depth, random_state=self.seed)
            forest.fit(means[rows], positive[rows, tag])
            for number, fitted in enumerate(forest.estimators_, start=tag * self.trees):
                feature, threshold, leaf = _complete(fitted.tree_, list(forest.classes_), self.depth)
                self.feature[number] = torch.from_numpy(feature)
                self.threshold[number] = torch.from_numpy(threshold)
                self.leaf[number] = torch.from_numpy(leaf)


def _complete(tree: Any, classes: list[bool], depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A fitted tree as a complete one: feature and threshold of each node, row by row, and the leaves' shares of positives.

    Answers are of 32-bit means, so the largest 32-bit number that is not above a threshold asks the same.
    """
    feature, threshold = np.zeros(2**depth - 1, np.int32), np.zeros(2**depth - 1, np.float32)
    thresholds = tree.threshold.astype(np.float32)
    thresholds = np.where(thresholds > tree.threshold, np.nextafter(thresholds, np.float32(-np.inf)), thresholds)
    counts = tree.value[:, 0]
    share = counts[:, classes.index(True)] / counts.sum(-1) if True in classes else np.zeros(len(counts))
    row = np.zeros(1, np.int64)  # scikit-learn's numbers of the nodes that stand in this row of the complete tree
    for level in range(depth):
        place = slice(2**level - 1, 2 ** (level + 1) - 1)
        inner = tree.children_left[row] >= 0
        feature[place], threshold[place] = np.where(inner, tree.feature[row], 0), np.where(inner, thresholds[row], 0)
        children = np.stack([tree.children_left[row], tree.children_right[row]], axis=1)
        row = np.where(inner[:, None], children, row[:, None]).reshape(-1)
    return feature, threshold, share[row].astype(np.float32)
