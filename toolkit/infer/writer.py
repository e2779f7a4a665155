"""A trained language model as its user sees it: the beginning of a text or of a sequence in, how it might go on out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from toolkit.data.sequences import batch_of, pieces
from toolkit.data.subwords import END, SubwordCodec
from toolkit.infer.use import Usable, Use
from toolkit.losses.sequence import next_token_likelihood
from toolkit.tasks.experiment import load_as
from toolkit.tasks.language import CODEC, LanguageModelling

Text = str | Sequence[int]


class TrainedLanguage(Usable):
    """What `toolkit.load` gives of a model of texts, or of sequences of tokens.

    Attributes:
        codec: what texts become tokens by; None of a model that was trained on tokens.
        hypotheses: K, how many opinions the model has.
    """

    def __init__(self, path: Path | str) -> None:
        """Open an experiment's folder or a pack; nothing in it is executed or unpickled.

        Raises:
            UserError: there is no trained language model in it, or its configuration names what is not the toolkit's.
        """
        self.task = task = load_as(Path(path), LanguageModelling, "continues sequences")
        self.codec = None if task.config.data.subwords is None else SubwordCodec.load(Path(path) / CODEC)
        self.kept = () if self.codec is None else (CODEC,)
        self.model = task.model
        self.hypotheses = self.model.hypotheses or 1

    @property
    def use(self) -> Use:
        """What a model card says of it."""
        model, each = self.model, "" if self.hypotheses == 1 else f", by each of {self.hypotheses} hypotheses"
        what, given = ("tokens", "[0]") if self.codec is None else ("texts", '"M:6/8\\nK:G\\n"')
        return Use(
            f"{what} that go on as those it was trained on{each}, and how likely given ones are",
            f"{what} of up to {model.context} tokens, out of {model.vocabulary}",
            "",
            f"written = model.generate({given}, length=200)  # one for each hypothesis\n"
            f"nats = model.likelihood({given})  # negative log-likelihood under each hypothesis, (K,)",
        )

    def generate(
        self, prompt: Text = "", length: int = 256, temperature: float = 1.0, top_k: int | None = None, seed: int = 0
    ) -> list[str] | list[list[int]]:
        """Go on with a text, or with tokens, as each hypothesis would.

        Args:
            prompt: its beginning; of a model trained on tokens, at least one of them.
            length: tokens to add, at most; a text may end before.
            temperature: what the logits are divided by; 0 takes the likeliest token.
            top_k: how many of the likeliest tokens are drawn from; all if None.
            seed: of the random numbers.

        Returns:
            For each hypothesis the beginning and what follows it: texts, or lists of tokens.

        Raises:
            ValueError: the beginning has no token, one that the model does not know, or more than its context.
        """
        begin = self._encode(prompt, end=False)
        if not 0 < len(begin) <= self.model.context:
            raise ValueError(f"prompt: expected 1 to {self.model.context} tokens, found {len(begin)}")
        generator = torch.Generator(self.device)
        generator.manual_seed(seed)
        added = min(length, self.model.context - len(begin))
        stop = None if self.codec is None else END
        told = torch.tensor([begin], device=self.device)
        made = self.model.generate(told, added, temperature, top_k, stop, generator).view(self.hypotheses, -1).tolist()
        return made if self.codec is None else [self.codec.decode(tokens) for tokens in made]

    @torch.no_grad()
    def likelihood(self, text: Text) -> Tensor:
        """How unlikely a whole text is, in nats, under each hypothesis, (K,); longer ones than the context are read in pieces.

        Raises:
            ValueError: there is no token, or one that the model does not know.
        """
        found = batch_of(pieces(torch.tensor(self._encode(text, end=True)).numpy(), self.model.context), [])
        tokens, mask = found.tokens.to(self.device), found.mask.to(self.device)
        return next_token_likelihood(self.model(tokens), tokens, mask).nll.sum(0).cpu()

    def _encode(self, text: Text, end: bool) -> list[int]:
        if self.codec is None:
            if isinstance(text, str):
                raise ValueError("expected a sequence of tokens, as the model was trained on, found text")
            tokens = [int(token) for token in text]
            if tokens and not 0 <= min(tokens) <= max(tokens) < self.model.vocabulary:
                found = f"{min(tokens)} to {max(tokens)}"
                raise ValueError(f"expected tokens from 0 to {self.model.vocabulary - 1}, found some from {found}")
            return tokens
        if not isinstance(text, str):
            raise ValueError("expected text, as the model was trained on, found tokens")
        return self.codec.encode(text, begin=True, end=end)
