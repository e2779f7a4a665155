"""What training leaves to be looked at: one JSON line an epoch, and the same in TensorBoard with audio and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from toolkit import files
from toolkit.data import records
from toolkit.tasks.base import Cells, Seen

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from toolkit.train.reference_curve import ReferenceCurve


class Tracker:
    """Writes `metrics.jsonl` and TensorBoard's event files of one experiment."""

    def __init__(self, exp: Path) -> None:
        self.exp = exp
        self.path = exp / "metrics.jsonl"
        self.reference: ReferenceCurve | None = None  # that each epoch is held against
        self._board: SummaryWriter | None = None

    def rewind(self, epoch: int) -> None:
        """Forget lines of epochs from `epoch` on (counted from 1): a resumed run writes them again."""
        rows = records.epochs(self.exp)
        kept = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row["epoch"] < epoch]
        files.write_text(self.path, "".join(kept))

    def epoch(self, row: dict[str, Any]) -> None:
        """Add one epoch's line; keys with a slash are curves."""
        files.append_jsonl(self.path, row)
        if self.reference is not None:
            self.reference.see(row)
        for name, value in row.items():
            if "/" in name or name == "lr":
                self.board.add_scalar(name, value, int(row["epoch"]))
        self.board.flush()

    def listen(self, epoch: int, waveforms: dict[str, Tensor], sample_rate: int) -> None:
        """Add one validation example: role to waveform (C, T), heard and seen as a spectrogram."""
        from matplotlib.figure import Figure

        for role, waveform in waveforms.items():
            mono = waveform.detach().float().mean(0).cpu()
            self.board.add_audio(role, (mono / mono.abs().max().clamp(min=1e-8)).unsqueeze(0), epoch, sample_rate)
            figure = Figure(figsize=(6, 2.5), layout="constrained")
            axes = figure.subplots()
            axes.specgram(mono.numpy() + 1e-9, NFFT=512, noverlap=384, Fs=sample_rate)
            axes.set(xlabel="time (s)", ylabel="frequency (Hz)", title=role)
            self.board.add_figure(role, figure, epoch)

    def look(self, epoch: int, seen: dict[str, Seen]) -> None:
        """Add what else is to be seen of validation examples, by name."""
        from matplotlib.figure import Figure

        for name, shown in seen.items():
            if isinstance(shown, str):
                self.board.add_text(name, f"```\n{shown}\n```", epoch)
                continue
            figure = Figure(figsize=(6, 3.5), layout="constrained")
            axes = figure.subplots()
            if isinstance(shown, Cells):
                image = axes.imshow(shown.values.detach().float().cpu().numpy(), aspect="auto", interpolation="none")
                figure.colorbar(image)
            else:
                for label, (x, y) in shown.values.items():
                    points = (axis.detach().float().cpu().numpy() for axis in (x, y))
                    axes.plot(*points, "." if shown.dots else "-", label=label, markersize=4)
                axes.legend()
            axes.set(xlabel=shown.xlabel, ylabel=shown.ylabel, title=name)
            self.board.add_figure(name, figure, epoch)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()

    @property
    def board(self) -> SummaryWriter:
        """TensorBoard's writer, opened when first needed since its import takes seconds."""
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.exp / "tb"))
        return self._board
