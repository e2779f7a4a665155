"""The training loop: plain torch, one idea a method, resumed bit for bit from any checkpoint."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from toolkit import log, progress
from toolkit.data import loader
from toolkit.log import UserError
from toolkit.tasks.base import Examples, Task
from toolkit.train import arithmetic, checkpoint, distributed, phases, prefetch, stopping, validation
from toolkit.train.averages import Averages
from toolkit.train.tracking import Tracker

SMALL_IS_GOOD = ("loss", "distance", "distortion")  # how the names of such values end
LISTEN_EVERY = 60.0  # seconds of training between two examples in TensorBoard, whose pictures take a second or two
PLURAL = {"loss": "losses", "gradient": "gradients"}
POSITION = ("epoch", "batch", "step", "bad", "stale", "best", "lowest", "seconds", "loss_sum", "loss_count")

logger = log.get(__name__)


class Trainer:
    """Trains one task in one folder.

    Args:
        task: what a batch means.
        config: the built configuration: `optimizer`, `schedule`, `phases`, `train`, and of `data` the `workers`.
        data: folder of the manifests.
        exp: the experiment's folder.
        device: where to compute.
        key: fingerprint of all that a checkpoint depends on.

    Raises:
        UserError: the configuration does not fit the data or itself, or a checkpoint that is there cannot be gone on from.
    """

    def __init__(self, task: Task, config: Any, data: Path, exp: Path, device: torch.device, key: str) -> None:
        self.task, self.exp, self.device, self.key = task, exp, device, key
        self.config, self.options, self.workers = config, config.train, config.data.workers
        self.training, self.validation = task.training(data), task.validation(data)
        for name, found, least in (("batch_size", self.training.batch_size, 1), ("workers", self.workers, 0)):
            if found < least:
                raise UserError(f"data.{name}: expected {least} or more, found {found}")
        phases.check(config, task.parameter_groups())
        self.model = task.model.to(device)
        arithmetic.arrange(self.model, self.options, device)
        self._choose_optimizer(epoch=0)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.options.precision == "fp16")
        self.averages = Averages(self.model, self.options.ema, self.options.ema_epoch)
        self.evaluated: nn.Module = self.model  # of the weights and their averages, those that were best in the last epoch
        self.epoch = self.batch = self.step = self.bad = self.stale = 0
        self.loss_sum = self.loss_count = self.seconds = self.listened = 0.0
        self.best = self.lowest = math.inf
        self.tracker = Tracker(exp)
        self._resume()
        self.together = distributed.Together(self.model, device, partial(arithmetic.compiled, option=self.options.compile))

    def fit(self) -> None:
        """Train until the epochs, the patience or the minutes are over; the best weights are in `model.safetensors`.

        Raises:
            UserError: not a single step was made.
        """
        if self.step == 0:
            distributed.draw_apart(self.options.seed)
        while self.epoch < self.options.epochs and not self._over():
            self.task.start_epoch(self.epoch)
            row = self.train_epoch()
            self.averages.after_epoch(self.model)
            self._end_epoch(self._best_of(row))
        self.tracker.close()
        if self.step == 0:
            raise UserError(
                f"{self.exp}: no training step was made. "
                "Next: look at train.max_minutes, train.patience and the size of the split"
            )

    def train_epoch(self) -> dict[str, float]:
        """Learn from the batches that are left of the epoch; gives the mean loss, and the share of time spent waiting."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        waited, began = 0.0, time.monotonic()
        options = {"batch_size": self.training.batch_size, "group": self.options.accumulate, "skip": self.batch}
        batches = self._batches(self.training, seed=self.options.seed, epoch=self.epoch, **options)
        count = len(self.training.source) // (self.training.batch_size * distributed.world_size())
        count -= count % self.options.accumulate + self.batch
        asked = time.monotonic()
        for batch in progress.track(batches, f"epoch {self.epoch + 1} of {self.options.epochs}", count):
            waited += time.monotonic() - asked
            stepped, over = self._learn(batch, self._late(time.monotonic() - began) or stopping.asked())
            self.batch += 1
            if over and self.batch % self.options.accumulate == 0:
                if distributed.agree(stopping.asked(), self.device):
                    self._stop(time.monotonic() - began)
                break
            if stepped and self.step % self.options.checkpoint_every == 0:
                self.seconds, began, waited = self.seconds + time.monotonic() - began, time.monotonic(), 0.0
                self._save()
            asked = time.monotonic()
        elapsed = time.monotonic() - began
        self.seconds += elapsed
        sums = {"train/loss": torch.tensor([self.loss_sum, self.loss_count], dtype=torch.float64)}
        return {**distributed.means(sums), "loader_wait": round(waited / max(elapsed, 1e-9), 4)}

    def _batches(self, examples: Examples, **options: Any) -> Iterator[Any]:
        """Batches of this process, on the device."""
        batches = loader.batches(
            examples.source,
            workers=self.workers,
            rank=distributed.rank(),
            world_size=distributed.world_size(),
            pin_memory=self.device.type == "cuda",
            **options,
        )
        return prefetch.ahead(batches, self.device)

    def _learn(self, batch: Any, late: bool) -> tuple[bool, bool]:
        """Forward, backward and, at the end of a group, a step.

        The loss is read while the device computes the backward pass; what one that is not finite has left in the gradients is
        dropped.

        Args:
            batch: on the device.
            late: whether the time is over for this process.

        Returns:
            Whether there was a step; whether the time is over for any process.
        """
        ends = (self.batch + 1) % self.options.accumulate == 0
        with contextlib.nullcontext() if ends else self.together.apart():
            with arithmetic.autocast(self.options.precision, self.device):
                loss = self.task.loss(self.together.forward, batch).mean()
                penalty = self.task.penalty()
            reading = distributed.Reading(loss, late)
            total = loss if penalty is None else loss + penalty
            self.scaler.scale(total / self.options.accumulate).backward()
        value, bad, late = reading.read()
        if bad:
            self._count_bad(batch, "loss")
            return False, late
        self.loss_sum, self.loss_count = self.loss_sum + value, self.loss_count + 1
        if not ends:
            return False, late
        self.together.average()
        return self._step(batch), late

    def _step(self, batch: Any) -> bool:
        """Clip the gradients and take a step; whether there was one.

        A loss may be finite where its gradient is not (a square root at 0): one such step would leave no weight finite, so it
        is skipped.  In half precision the scaler does that by itself, as long as a smaller scale may help.

        Whether the weights may change is known when the backward pass is over, so here a GPU is waited for.  It stands still
        until the step's first kernel is launched; only PyTorch's fused optimizers could be told on the device to do nothing.
        """
        self.scaler.unscale_(self.optimizer)
        if self.options.clip_grad_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip_grad_norm)
        else:
            norm = nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
        if not norm.isfinite() and self.scaler.get_scale() <= 1:
            self.scaler.update()
            self._count_bad(batch, "gradient")
            return False
        self.bad = 0
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.averages.after_step(self.model)
        return True

    def _count_bad(self, batch: Any, what: str) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.bad += 1
        items = ", ".join(batch.ids[:4])
        logger.warning("step %d: the %s is not finite, the step is skipped (items: %s)", self.step, what, items)
        if self.bad >= self.options.max_bad_steps:
            raise UserError(
                f"{self.bad} {PLURAL[what]} in a row were not finite, the last at step {self.step}. "
                "Next: lower --optimizer.lr, or --train.precision fp32"
            )

    def _best_of(self, row: dict[str, Any]) -> dict[str, Any]:
        """Validate the weights and their averages; the row gets the values of the best and, if there was a choice, a name."""
        candidates = self.averages.candidates(self.model)
        for model in candidates.values():
            distributed.share(model.buffers())
        rows = {name: row | self._validate(model) for name, model in candidates.items()}
        best = min(rows, key=lambda name: self._value(rows[name], self.options.monitor))
        self.evaluated = candidates[best]
        return rows[best] | ({"chosen": best} if len(rows) > 1 else {})

    def _value(self, row: dict[str, Any], name: str) -> float:
        """What is to be small."""
        value = row.get(name)
        if value is None:
            known = ", ".join(row)
            raise UserError(f"train.monitor: expected one of {known}, found {name!r}")
        value = value if name.endswith(SMALL_IS_GOOD) else -value
        return math.inf if math.isnan(value) else value

    def _validate(self, model: nn.Module) -> dict[str, float]:
        began = time.monotonic()
        examples = self.validation
        batches = self._batches(examples, batch_size=examples.batch_size, seed=0, epoch=0, shuffle=False, drop_last=False)
        tracked = progress.track(batches, "validation", math.ceil(len(examples.source) / examples.batch_size))
        measured = validation.validate(self.task, model, tracked, self.options.precision, self.device)
        self.seconds += time.monotonic() - began
        return {f"valid/{name}": value for name, value in measured.items()}

    def _end_epoch(self, row: dict[str, Any]) -> None:
        value = self._value(row, self.options.monitor)
        waited_for = self._value(row, self.options.plateau or self.options.monitor)
        lr = self.optimizer.param_groups[0]["lr"]
        phases.step(self.schedule, waited_for)
        better = value < self.best or self.best == math.inf  # of values that are no numbers the newest is the best
        self.best = min(value, self.best)
        self.stale = 0 if waited_for < self.lowest else self.stale + 1
        self.lowest = min(waited_for, self.lowest)
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum = self.loss_count = 0.0
        if distributed.rank() == 0:
            if better:
                checkpoint.save_weights(self.evaluated, self.exp / "model.safetensors")
            self._tell({"epoch": self.epoch, "step": self.step, "seconds": round(self.seconds, 2), "lr": lr, **row}, better)
        self._begin_phase()
        self._save()

    def _tell(self, row: dict[str, Any], better: bool) -> None:
        """An epoch's line, on the terminal and kept; of better weights there may be something to hear and see."""
        if better and self.seconds - self.listened >= LISTEN_EVERY:
            self.listened = self.seconds
            devices = [self.device] if self.device.type == "cuda" else []
            with torch.no_grad(), torch.random.fork_rng(devices):  # whatever is drawn, training goes on as if nothing were
                waveforms, sample_rate = self.task.listen(self.evaluated, self.device)
                seen = self.task.look(self.evaluated, self.validation.source, self.device)
            self.tracker.listen(self.epoch, waveforms, sample_rate)
            self.tracker.look(self.epoch, seen)
        self.tracker.epoch(row)
        values = [f"{name} {value if isinstance(value, str) else f'{value:.4g}'}" for name, value in list(row.items())[4:]]
        logger.info("epoch %d: %s  (%.0f s)%s", self.epoch, "  ".join(values), row["seconds"], "  best" if better else "")

    def _choose_optimizer(self, epoch: int) -> None:
        self.optimizer, self.schedule = phases.choose(self.config, self.task.parameter_groups(), epoch)

    def _begin_phase(self) -> None:
        """Where another phase begins: its optimizer, and the best weights so far."""
        if any(phase.epoch == self.epoch for phase in self.config.phases):
            distributed.wait()  # for the one who writes the weights
            checkpoint.load_weights(self.model, self.exp / "model.safetensors")
            self._choose_optimizer(self.epoch)
            logger.info("epoch %d: another optimizer goes on from the best weights", self.epoch + 1)

    def _late(self, running: float = 0.0) -> bool:
        limit = self.options.max_minutes
        return limit is not None and self.seconds + running >= 60 * limit

    def _over(self) -> bool:
        patience = self.options.patience
        return distributed.agree(self._late() or (patience is not None and self.stale >= patience), self.device)

    def _stop(self, seconds: float) -> NoReturn:
        """Write a checkpoint within an epoch, of which so many seconds have not been counted yet, and end."""
        self.seconds += seconds
        self._save()
        distributed.wait()  # for the one who writes
        stopping.stop()

    def _save(self) -> None:
        position = {name: getattr(self, name) for name in POSITION}
        own = {"position": position, "task": self.task.training_state(), "random": checkpoint.random_state()}
        first, *others = distributed.each(own)
        if distributed.rank() != 0:
            return
        state = {
            "key": self.key,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "scaler": self.scaler.state_dict(),
            "averages": self.averages.state_dict(),
            **first,
            "others": others,  # the same of the other processes
        }
        checkpoint.save(self.exp / "checkpoints", self.step, self.model, state)

    def _resume(self) -> None:
        state = checkpoint.load_latest(self.exp / "checkpoints", self.model, self.key, self.options.init)
        if state is None:
            self.tracker.rewind(1)
            return
        try:
            self._go_on(state)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self.exp}/checkpoints: they are of another version, or damaged ({error}). "
                f"Next: bring back a copy, or begin the training anew: rm -r {self.exp}/checkpoints"
            ) from error
        self.tracker.rewind(self.epoch + 1)
        logger.info("going on from epoch %d, step %d", self.epoch + 1, self.step)

    def _go_on(self, state: dict[str, Any]) -> None:
        """Be where a checkpoint was written."""
        own = [state, *state.get("others", [])]
        mine = own[min(distributed.rank(), len(own) - 1)]  # the last one's where there are more processes than before
        for name, value in mine["position"].items():
            setattr(self, name, value)
        self._choose_optimizer(self.epoch)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.averages.load_state_dict(state["averages"])
        self.task.restore(mine.get("task", {}))
        checkpoint.restore_random_state(mine["random"])
