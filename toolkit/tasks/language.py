"""Language modelling: the next token of a sequence, by one opinion or by several hypotheses that share the sequences."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

import toolkit.blocks
import toolkit.models  # noqa: F401  (importing them lets a config name their classes)
from toolkit.blocks.features import Feature
from toolkit.blocks.subwords import text_of
from toolkit.data import tables
from toolkit.data.examples import ExampleSource
from toolkit.data.manifest import Item, Manifest
from toolkit.data.sequences import TokenBatch
from toolkit.data.subwords import END
from toolkit.log import UserError
from toolkit.losses.sequence import next_token_likelihood
from toolkit.metrics import markov
from toolkit.models.language_model import LanguageModel
from toolkit.tasks.base import AGAIN, Cells, Examples, Seen, Task, trying_out
from toolkit.tasks.language_options import LanguageConfig
from toolkit.tasks.language_scores import MIXTURE, WINNER, of_all, transition_errors, yardsticks
from toolkit.tasks.token_source import TokenSource

SEEN = 8  # tokens of a text that are gone on with, to be looked at while training goes on
CODEC = "subwords.model"  # of an experiment: what texts were encoded by
PROMPT = "prompt"  # label of an item: the beginning of its text that others like it begin with


class Sequences(NamedTuple):
    """What one item is predicted from.

    Attributes:
        tokens: (N, L).
        mask: (N, L), true for the tokens that count.
        characters: (1,), of its text; 0 of what is no text.
        prompt: (1, P), what is to be continued; P is 0 for nothing.
    """

    tokens: Tensor
    mask: Tensor
    characters: Tensor
    prompt: Tensor


class LanguageModelling(Task):
    """Sequences of tokens in, what may come next out."""

    Config: ClassVar[type] = LanguageConfig
    contract = "(B, L) -> (B, L, V) or (B, K, L, V)"

    def __init__(self, config: LanguageConfig) -> None:
        self.config = config
        self.model: LanguageModel = config.model
        data, model = config.data, config.model
        if data.subwords is not None and data.subwords.vocabulary != model.vocabulary:
            raise UserError(
                f"model.vocabulary: expected {data.subwords.vocabulary}, as data.subwords has, found {model.vocabulary}"
            )
        if model.context < 2:
            raise UserError(f"model.context: expected at least 2, a token to read and one to predict, found {model.context}")
        self.source = TokenSource(data.subwords, data.train, model.context)

    def features(self) -> list[Feature]:
        """The subwords, which are learned from the training texts."""
        return [] if self.config.data.subwords is None else [self.config.data.subwords]

    def training(self, data: Path) -> Examples:
        """Sequences; those that are drawn are others in each epoch.

        Raises:
            UserError: as of `Task.training`, or they are longer than the model reads.
        """
        options = self.config.data
        found = self.source.training(data, options.train, self.config.train.seed, options.sequences)
        if (length := found.batch(0, [0]).tokens.shape[1]) > self.model.context:
            raise UserError(f"model.context: expected at least {length}, as the sequences have, found {self.model.context}")
        return Examples(found, options.batch_size)

    def validation(self, data: Path) -> Examples:
        """Sequences that are the same each epoch."""
        return Examples(self.source.fixed(data, self.config.data.valid), self.config.data.batch_size)

    def keep(self, exp: Path) -> None:
        """The subwords."""
        if self.config.data.subwords is not None:
            self.source.codec.save(exp / CODEC)

    def start_epoch(self, epoch: int) -> None:
        """Set what the choice of a winner has a schedule of."""
        self.config.loss.start_epoch(epoch)

    def loss(self, model: nn.Module, batch: TokenBatch) -> Tensor:
        """The configured loss of each sequence."""
        return cast(Tensor, self.config.loss(model(batch.tokens), batch.tokens, batch.mask))

    def validate(self, model: nn.Module, batch: TokenBatch) -> dict[str, Tensor]:
        """The loss per token of each sequence under the hypothesis that serves it best, and under all of them as a mixture."""
        found = next_token_likelihood(model(batch.tokens), batch.tokens, batch.mask)
        shared = {name: values / found.tokens.clamp(min=1) for name, values in of_all(found.nll).items()}
        return {"loss": shared[WINNER], "mixture_loss": shared[MIXTURE]}

    def look(self, model: nn.Module, source: ExampleSource[TokenBatch], device: torch.device) -> dict[str, Seen]:
        """What each hypothesis makes of the beginning of a text; of tokens that a corpus draws, what follows each of them."""
        language = cast(LanguageModel, model)
        if self.config.data.subwords is None:
            follows = torch.from_numpy(markov.recover_transitions(language, language.vocabulary, device))
            return {"transitions": Cells(torch.cat(list(follows), dim=1), "next state, hypothesis by hypothesis", "state")}
        if not self.config.infer.length:
            return {}
        written = self._write(language, source.batch(0, [0]).tokens[:, :SEEN].to(device))
        return {"written": "\n\n".join(self.source.codec.decode(tokens) for tokens in written.tolist())}

    def inputs(self, manifest: Manifest, item: Item) -> Sequences:
        """All sequences of an item, and what its text begins with."""
        found = self.source.of_item(manifest, item)
        text = text_of(manifest, item) if self.config.data.subwords is not None else ""
        prompt = self.source.codec.encode(item.labels.get(PROMPT, ""), begin=True) if text and self.config.infer.length else []
        told = torch.tensor([prompt], dtype=torch.long)
        return Sequences(found.tokens, found.mask, torch.tensor([len(text)]), told)

    def predict(self, model: nn.Module, inputs: Sequences, sample_rate: int) -> dict[str, Tensor]:
        """Likelihoods of an item's sequences, what each hypothesis says after each state, and what it writes.

        Returns:
            `nll` (N, K) in nats, `predicted` (N) tokens, `characters` (1,); where a corpus draws the tokens, `alone` and
            `in_sequences`, (K, V, V), rows of what follows each token, see `toolkit.metrics.markov`; `written` (K, P + length).
        """
        language = cast(LanguageModel, model)
        size = self.config.infer.batch
        nll, predicted, averages, weights = [], [], [], []
        for tokens, mask in zip(inputs.tokens.split(size), inputs.mask.split(size), strict=True):
            logits = language(tokens)
            likelihood = next_token_likelihood(logits, tokens, mask)
            nll.append(likelihood.nll)
            predicted.append(likelihood.tokens)
            if self.config.data.subwords is None:
                averages.append(markov.average_predictions(logits, tokens))
                weights.append(np.bincount(tokens.flatten().cpu().numpy(), minlength=language.vocabulary))
        found = {"nll": torch.cat(nll), "predicted": torch.cat(predicted), "characters": inputs.characters}
        if averages:
            share = np.stack(weights)[:, None, :, None]
            in_sequences = np.nansum(np.stack(averages) * share, 0) / share.sum(0).clip(min=1)
            alone = markov.recover_transitions(language, language.vocabulary, inputs.tokens.device)
            found |= {"alone": torch.from_numpy(alone), "in_sequences": torch.from_numpy(in_sequences)}
        if inputs.prompt.shape[1]:
            found["written"] = self._write(language, inputs.prompt)
        return found

    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Likelihoods as a table, all else in the item's line."""
        name = f"{item.id}.nll.npy"
        tables.write(folder / name, predictions["nll"].double().cpu().numpy())
        line: dict[str, Any] = {"nll": name, "predicted": predictions["predicted"].tolist()}
        if characters := int(predictions["characters"]):
            line["characters"] = characters
        for key in ("alone", "in_sequences"):
            if key in predictions:
                line[key] = torch.round(predictions[key].double(), decimals=6).tolist()
        if "written" in predictions:
            line["written"] = [self.source.codec.decode(tokens) for tokens in predictions["written"].tolist()]
        return line

    def files_of(self, stored: dict[str, Any]) -> list[str]:
        """The table of likelihoods."""
        return [stored["nll"]]

    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """One item's losses; of a mixture of Markov chains, what can be reached, and how far the learned ones are away.

        Returns:
            `id`, `metrics`, `nll` (by `winner`, `mixture`, `each`, of all tokens), `tokens`, `characters`, `winners`: how many
            sequences each hypothesis serves best.
        """
        nll = torch.from_numpy(tables.load(folder / stored["nll"], AGAIN))
        predicted = torch.tensor(stored["predicted"], dtype=torch.float64)
        if "characters" in stored:  # a text, perhaps in pieces
            nll, predicted = nll.sum(0, keepdim=True), predicted.sum(0, keepdim=True)
        losses = of_all(nll)
        metrics = {f"token_loss/{name}": float((values / predicted).mean()) for name, values in losses.items()}
        if "transitions" in item.labels:
            reached = yardsticks(item.labels, self._drawn(manifest, item), self.model.sight)
            best = metrics[f"token_loss/{WINNER}"]
            metrics |= {f"above/{name}": best - reached[f"{name}/on_these"] for name in ("mle_line", "true_chains")}
            metrics |= reached | transition_errors(item.labels, stored)
        return {
            "id": item.id,
            "metrics": metrics,
            "nll": {name: float(values.sum()) for name, values in losses.items()},
            "tokens": int(predicted.sum()),
            "characters": stored.get("characters", 0),
            "winners": torch.bincount(nll.argmin(1), minlength=nll.shape[1]).tolist(),
        }

    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Means over the items, and of texts: `perplexity/…` of a token and `bits_per_character/…` over all of them.

        `…/winner`: the hypothesis that serves a sequence best; `…/mixture`: all of them with equal weights, which is a
        probability; `…/each`: the mean over the hypotheses.  All are one where there is one hypothesis.
        """
        names = dict.fromkeys(name for row in rows for name in row["metrics"])
        figures = {name: sum(row["metrics"][name] for row in rows) / len(rows) for name in names}
        if characters := sum(row["characters"] for row in rows):
            totals = {name: sum(row["nll"][name] for row in rows) for name in rows[0]["nll"]}
            tokens = sum(row["tokens"] for row in rows)
            figures |= {f"perplexity/{name}": math.exp(total / tokens) for name, total in totals.items()}
            bits = {f"bits_per_character/{name}": total / math.log(2) / characters for name, total in totals.items()}
            figures = {**bits, **figures}
        winners = np.sum([row["winners"] for row in rows], axis=0)
        return {"metrics": figures, "winners": winners.tolist()}

    def compare(self, manifest: Manifest, stored: list[dict[str, Any]], folder: Path) -> dict[str, float]:
        """What texts cost if no more is known than how frequent each character is: `bits_per_character/frequencies`."""
        if self.config.data.subwords is None:
            return {}
        counts = Counter(character for item in manifest for character in text_of(manifest, item))
        shares = np.array(list(counts.values())) / counts.total()
        return {"bits_per_character/frequencies": float(-(shares * np.log2(shares)).sum())}

    def probe(self) -> tuple[Tensor, float]:
        """A sequence, on the meta device."""
        return torch.empty(1, min(self.model.context, 32), dtype=torch.long, device="meta"), 0.0

    def check(self) -> None:
        """See that the model gives logits of the next tokens, on the meta device.

        Raises:
            UserError: it does not.
        """
        tokens, _ = self.probe()
        axis = [] if self.model.hypotheses is None else [self.model.hypotheses]
        expected = (1, *axis, tokens.shape[1], self.model.vocabulary)
        with trying_out():
            logits = self.model(tokens)
        if logits.shape != expected:
            raise UserError(f"the model breaks its contract: expected {expected}, found {tuple(logits.shape)}")

    def _write(self, model: LanguageModel, prompt: Tensor) -> Tensor:
        """What each hypothesis makes of a beginning, (K, P + length)."""
        options = self.config.infer
        generator = torch.Generator(prompt.device)
        generator.manual_seed(zlib.crc32(prompt.cpu().numpy().tobytes()) + options.seed)
        length = max(0, min(options.length, model.context - prompt.shape[1]))
        return model.generate(prompt, length, options.temperature, options.top_k, END, generator).view(
            -1, prompt.shape[1] + length
        )

    def _drawn(self, manifest: Manifest, item: Item) -> np.ndarray:
        return self.source.of_item(manifest, item).tokens.numpy()
