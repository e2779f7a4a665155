"""Text to subword tokens and back without loss, by sentencepiece (Kudo & Richardson 2018)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import sentencepiece

from toolkit import files
from toolkit.log import UserError

PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3  # numbers of the tokens that stand for no text
SPACE = "▁"  # what sentencepiece writes for a space


class SubwordCodec:
    """A vocabulary of subwords and what encodes by it.

    Every text comes back as it was: nothing is normalised, line breaks are tokens of their own, and characters that were not
    there in training are written as bytes.  The one exception is U+2581, which stands for a space within sentencepiece.

    Args:
        model: sentencepiece's own file, a protobuf message.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int = 512, kind: Literal["bpe", "unigram"] = "bpe") -> SubwordCodec:
        """Learn a vocabulary; the same texts in the same order give the same bytes.

        Args:
            texts: their lines are what is learned from.
            vocabulary: tokens, 261 of them for single bytes, line breaks and what stands for no text.
            kind: byte-pair encoding, or sentencepiece's unigram model.

        Raises:
            UserError: so many tokens cannot be learned.
        """
        trainer, model = sentencepiece.SentencePieceTrainer, io.BytesIO()
        lines = [line for text in texts for line in text.split("\n") if line]
        if not lines:
            raise UserError("subwords: expected text to learn from, found none")
        try:
            trainer.train(
                sentence_iterator=iter(lines),
                model_writer=model,
                vocab_size=vocabulary,
                model_type=kind,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                byte_fallback=True,
                character_coverage=1.0,
                user_defined_symbols=["\n"],
                pad_id=PAD,
                unk_id=UNKNOWN,
                bos_id=BEGIN,
                eos_id=END,
                num_threads=1,
                shuffle_input_sentence=False,
                max_sentence_length=1 << 20,
                minloglevel=3,
            )
        except RuntimeError as error:
            reason = str(error).rpartition("] ")[2].strip()
            raise UserError(
                f"subwords: a vocabulary of {vocabulary} cannot be learned from {len(lines)} lines: {reason} "
                "Next: the same other number for --data.subwords.vocabulary and --model.vocabulary"
            ) from error
        return cls(model.getvalue())

    @classmethod
    def load(cls, path: Path | str) -> SubwordCodec:
        """Read sentencepiece's file.

        Raises:
            UserError: it is missing or no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"no such vocabulary of subwords: {path}. Next: run the stage that makes it")
        try:
            return cls(path.read_bytes())
        except RuntimeError as error:
            raise UserError(f"{path}: expected a model of sentencepiece, found something else") from error

    def save(self, path: Path | str) -> None:
        """Write sentencepiece's file."""
        with files.atomic(path) as partial:
            partial.write_bytes(self.model)

    def __len__(self) -> int:
        """Tokens in the vocabulary."""
        return int(self._processor.vocab_size())

    def encode(self, text: str, begin: bool = False, end: bool = False) -> list[int]:
        """Tokens of a text, between those that stand for its ends if asked for.

        Raises:
            ValueError: the text holds U+2581.
        """
        if SPACE in text:
            raise ValueError("subwords: expected text without U+2581, which stands for a space within sentencepiece")
        return [BEGIN] * begin + self._processor.encode(text) + [END] * end

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, up to the first that ends it; those that stand for no text are left out."""
        kept = list(tokens)
        kept = kept[: kept.index(END)] if END in kept else kept
        text = str(self._processor.decode([int(token) for token in kept if token not in (PAD, UNKNOWN, BEGIN)]))
        return text.replace(SPACE, " ")  # of a vocabulary that had no space to learn from, and writes it as bytes

    def pieces(self) -> list[str]:
        """What each token stands for, a space being U+2581."""
        return [self._processor.id_to_piece(number) for number in range(len(self))]
