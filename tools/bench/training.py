"""How fast recipes train on this machine: items a second, memory, and the share of what the device could calculate.

    python tools/bench/training.py                                        # the four recipes below, ten minutes at most
    python tools/bench/training.py --recipe conv_tasnet --precision bf16
    python tools/bench/training.py --tiny --results /tmp/speed.md         # the mini models, to see that it works

The toolkit's own loop trains each paper's model with the paper's loss, optimizer, batch and segment on noise of the right
shape: loading (a copy in memory), pinning, copying to the device, forward, backward, clipping, averages.  What does not fit
into memory is cut into batches whose gradients are added up.  Each recipe runs in a process of its own, as it is, then
compiled; what has no time left is told as such.  The table goes into `RESULTS.md` in place of this machine's last one.

Multiply-adds are counted in forward and backward of one batch (convolutions, products of matrices, attention; not Fourier
transforms, recurrences of cuDNN, and what is calculated point by point); one is two FLOP.
"""

import argparse
import dataclasses
import gc
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from toolkit import files
from toolkit.data.clips import ClipBatch
from toolkit.data.examples import Batch, ExampleSource, to_device, with_tensors
from toolkit.data.performances import Performance
from toolkit.tasks.base import Examples, Task
from toolkit.tasks.experiment import Experiment
from toolkit.tasks.separation import Separation
from toolkit.tasks.synthesis import Synthesis
from toolkit.tasks.tagging import Tagging
from toolkit.train import distributed
from toolkit.train.loop import Trainer
from toolkit.train.run import commit, describe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {  # folder below egs/, seconds of an item where the configuration takes whole ones
    "conv_tasnet": ("wsj0_mix/conv_tasnet", 4.0),
    "cp_resnet": ("openmic2018/east", 10.0),
    "ddx7": ("urmp/ddx7", 4.0),
    "hybrid_demucs": ("musdb18/hybrid_demucs", 10.0),
}
PRECISIONS = ("bf16", "tf32", "fp32")
# Dense TFLOP/s by name of the device.  NVIDIA's data sheets "H100 Tensor Core GPU" (SXM, PCIe), "H200 Tensor Core GPU" and
# "A100 Tensor Core GPU"; those of the H100 and the H200 give tensor cores "with sparsity", which is twice as much.
PEAKS = {
    "H100 PCIe": {"bf16": 756.0, "tf32": 378.0, "fp32": 51.0},
    "H100": {"bf16": 989.4, "tf32": 494.7, "fp32": 66.9},
    "H200": {"bf16": 989.4, "tf32": 494.7, "fp32": 66.9},
    "A100": {"bf16": 312.0, "tf32": 156.0, "fp32": 19.5},
}
TEACHER = (62, 768)  # frames and width of the embeddings that teach CP-ResNet
HEAD = "# Measured speeds\n\nWritten by scripts of this folder; their docstrings say what is measured and how to repeat it.\n"
COLUMNS = ["Recipe", "Batch", "Precision", "Compiled", "Items/s", "Audio s/s", "Step (ms)", "Memory (GiB)", "Waiting (%)"]
COLUMNS += ["TFLOP/s", "Of peak (%)"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, nargs="+", default=list(RECIPES))
    parser.add_argument("--precision", choices=PRECISIONS, nargs="+", default=list(PRECISIONS))
    parser.add_argument("--compile", choices=["no", "yes"], nargs="+", default=["no", "yes"])
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing is begun, and what runs is ended")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each timing")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true", help="mini models, batches of 2, one second of sound")
    parser.add_argument("--results", type=Path, default=ROOT / "tools/bench/RESULTS.md")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a recipe, measured in this process
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one, arguments)
        return
    deadline = time.monotonic() + 60 * arguments.minutes
    cases = [(recipe, compiled) for compiled in arguments.compile for recipe in arguments.recipe]
    rows = []
    for number, (recipe, compiled) in enumerate(cases):
        left = (deadline - time.monotonic()) / (len(cases) - number)
        rows += in_a_process(recipe, compiled, arguments, left if compiled == "yes" else 2 * left)
        write(arguments.results, rows, describe(distributed.start(arguments.device)))


def in_a_process(recipe: str, compiled: str, arguments: argparse.Namespace, limit: float) -> list[dict]:
    """The rows of one recipe; those that were not measured within `limit` seconds say so."""
    command = [sys.executable, __file__, "--one", recipe, "--compile", compiled, "--device", arguments.device]
    command += ["--seconds", str(arguments.seconds), "--precision", *arguments.precision, *["--tiny"] * arguments.tiny]
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=told, start_new_session=True)
        try:
            reason = f"ended with {process.wait(max(limit, 1.0))}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            reason = "no time left"
        told.seek(0)
        rows = [json.loads(line) for line in told if line.startswith("{")]
    for row in rows:
        print(" | ".join(cells(row)), flush=True)
    missing = arguments.precision[len(rows) :]
    return rows + [{"recipe": recipe, "precision": name, "compiled": compiled, "error": reason} for name in missing]


def measure(recipe: str, arguments: argparse.Namespace) -> None:
    """Print one line of JSON for each precision."""
    for precision in arguments.precision:
        row = {"recipe": recipe, "precision": precision, "compiled": arguments.compile[0]}
        for parts in (1, 2, 4, 8, 16, 32, 64):
            try:
                found = speed(recipe, precision, parts, arguments)
                break
            except torch.OutOfMemoryError:
                found = {"error": "not enough memory"}
            except Exception as error:  # whatever it is, the others are measured
                found = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
                break
            finally:
                torch.compiler.reset()
                gc.collect()
                torch.cuda.empty_cache()
        print(json.dumps({**row, **found}), flush=True)


def speed(recipe: str, precision: str, parts: int, arguments: argparse.Namespace) -> dict:
    """Train for some seconds with batches cut into so many parts; what that comes to."""
    folder, seconds = RECIPES[recipe]
    config = ROOT / "egs" / folder / "conf" / ("mini.yaml" if arguments.tiny else "paper.yaml")
    device = distributed.start(arguments.device)
    task, built = Experiment.read(config).build()
    batch_size = 2 if arguments.tiny else built.data.batch_size
    seconds = 1.0 if arguments.tiny else built.data.segment or seconds
    size = -(-batch_size // parts)
    built.data.workers = 0  # there is nothing to decode
    options = {"precision": precision, "compile": arguments.compile[0] == "yes", "accumulate": parts}
    built.train = dataclasses.replace(built.train, **options, init=None, max_minutes=None)
    noise = Noise(random_batch(task, built, size, seconds))
    task.training = task.validation = lambda data: Examples(noise, size)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as exp:
        trainer = Trainer(task, built, Path(exp), Path(exp), device, "bench")
        task.start_training(device)
        task.start_epoch(0)
        work = flops(trainer, noise, min(size, 2))
        timed(trainer, noise, 2)  # compiles
        step, _ = timed(trainer, noise, 2)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        steps = min(max(3, round(arguments.seconds / step)), 200)
        step, waited = timed(trainer, noise, steps)
    items = size * parts / step
    return {
        "batch": f"{size} x {seconds:g} s" if parts == 1 else f"{parts} x {size} x {seconds:g} s",
        "items": items,
        "audio": items * seconds,
        "step": 1000 * step,
        "memory": torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
        "waited": 100 * waited,
        "tflops": work * items / 1e12,
        "share": None if (peak := peak_of(device, precision)) is None else 100 * work * items / 1e12 / peak,
    }


class Noise(ExampleSource):
    """One batch again and again, copied each time."""

    def __init__(self, batch: tuple) -> None:
        self.stored, self.examples = batch, len(batch[-1])

    def __len__(self) -> int:
        return self.examples

    def batch(self, epoch: int, indices: list[int], memory: object = None) -> tuple:
        taken = with_tensors(self.stored, lambda tensor: tensor[: len(indices)].clone())
        return taken._replace(ids=taken.ids[: len(indices)])


def random_batch(task: Task, built: object, size: int, seconds: float) -> tuple:
    """What the task learns from, in its shapes: noise, any labels, any melody."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return 0.1 * torch.randn(*shape, generator=generator)

    ids = [str(number) for number in range(size)]
    if isinstance(task, Separation):
        task.stems = [stem for stems in built.data.groups.values() for stem in stems]
        samples = task.model.input_length(round(seconds * built.data.sample_rate))
        references = noise(size, len(task.stems) or task.model.sources, task.model.audio_channels, samples)
        return Batch(references.sum(1), references, torch.full((size,), samples), ids)
    if isinstance(task, Tagging):
        inputs = noise(size, built.data.frames(seconds))
        embeddings = noise(size, *(TEACHER if built.data.teacher else (0, 0)))
        labels = noise(size, task.model.tags).sign().relu()
        lengths = torch.full((size,), inputs.shape[1])
        return ClipBatch(inputs, embeddings, labels, torch.ones_like(labels), lengths, ids)
    assert isinstance(task, Synthesis)
    frames = round(seconds * task.model.sample_rate / task.model.hop_length)
    waveform = noise(size, frames * task.model.hop_length)
    f0, loudness = (torch.rand(size, frames, generator=generator) for _ in range(2))
    return Performance(waveform, 200 + 600 * f0, -60 + 50 * loudness, torch.full((size,), waveform.shape[1]), ids)


def flops(trainer: Trainer, noise: Noise, size: int) -> float:
    """FLOP of forward and backward of one item, as the model is written, not compiled."""
    batch = to_device(noise.batch(0, list(range(size))), trainer.device)
    trainer.model.train()
    with FlopCounterMode(display=False) as counter:
        trainer.task.loss(trainer.model, batch).mean().backward()
    trainer.optimizer.zero_grad(set_to_none=True)
    return counter.get_total_flops() / size


def timed(trainer: Trainer, noise: Noise, steps: int) -> tuple[float, float]:
    """Seconds of a step, all that belongs to it included, and the share of them spent waiting for data."""
    noise.examples = steps * trainer.options.accumulate * trainer.training.batch_size
    trainer.batch = 0
    synchronise(trainer.device)
    began = time.perf_counter()
    row = trainer.train_epoch()
    synchronise(trainer.device)
    return (time.perf_counter() - began) / steps, row["loader_wait"]


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_of(device: torch.device, precision: str) -> float | None:
    """TFLOP/s that the device's maker promises for products of dense matrices; None where that is not known."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peaks[precision] for known, peaks in PEAKS.items() if known in name), None)


def cells(row: dict) -> list[str]:
    first = [row["recipe"], row.get("batch", ""), row["precision"], row["compiled"]]
    if "error" in row:
        return [*first, row["error"].replace("|", "/")[:100], *[""] * (len(COLUMNS) - 5)]
    figures = [(row["items"], ".1f"), (row["audio"], ".0f"), (row["step"], ".1f"), (row["memory"], ".1f")]
    figures += [(row["waited"], ".1f"), (row["tflops"], ".2f"), (row["share"], ".1f")]
    return [*first, *("" if value is None else format(value, form) for value, form in figures)]


def write(path: Path, rows: list[dict], machine: str) -> None:
    """Put the table in place of the machine's last one, or at the end; all else in the file stays."""
    begin, end = (f"<!-- training on {machine}: {word} -->" for word in ("begin", "end"))
    text = path.read_text(encoding="utf-8") if path.is_file() else HEAD
    made = f"{time.strftime('%Y-%m-%d', time.gmtime())}, {processor()}, torch {torch.__version__}, commit {commit()}."
    table = ["| " + " | ".join(COLUMNS) + " |", "| --- | --- | --- | --- |" + " ---: |" * (len(COLUMNS) - 4)]
    table += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    section = "\n".join([begin, f"## Training on {machine}", "", f"{made} `tools/bench/training.py`", "", *table, end])
    before, found, rest = text.partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    files.write_text(path, f"{before if found else before.rstrip() + chr(10) * 2}{section}{after}")


def processor() -> str:
    """How many of which processor."""
    return f"{os.cpu_count()} cores {platform.machine()}"


if __name__ == "__main__":
    main()
