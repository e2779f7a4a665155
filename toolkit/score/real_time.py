"""`toolkit realtime`: how long a synthesizer takes for its sound, block after block, beside how long the sound lasts.

No corpus has a part in it, and no training: weights are random, drawn from the configuration's seed.  What is measured of the
paper's own configuration is therefore all that there is to measure, and counts as of the full edition.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch

from toolkit import files, log
from toolkit.data.performances import Performance
from toolkit.log import UserError
from toolkit.models.base import SynthesisModel
from toolkit.tasks.experiment import Experiment
from toolkit.train.run import commit

BLOCKS = (256, 128, 64, 32, 16, 8, 4)  # ms, those that DDX7's authors publish
WARM_UP = 10  # blocks that are not counted
FEWEST, LONGEST = 20, 3.0  # blocks that are; seconds after which there are enough
MOST = 400

logger = log.get(__name__)


class Factors(NamedTuple):
    """Time taken by a second of sound, median over the blocks of a stream.

    Attributes:
        wall: by the clock.
        processor: of the processor alone, which others may share.
        blocks: how many were timed.
    """

    wall: float
    processor: float
    blocks: int


def real_time(config: Path, exp: Path, overrides: list[str]) -> None:
    """Measure the real-time factor on one core and write it down as an experiment that `toolkit report` reads.

    Args:
        config: YAML file of a synthesis experiment.
        exp: folder of the experiment that is written.
        overrides: words such as ``--model.synthesizer SourceFilter``.

    Raises:
        UserError: the model renders no sound, or not in blocks; `exp` is a trained experiment, whose records would be lost.
    """
    if (exp / "config.yaml").is_file():
        raise UserError(f"{exp}: expected a folder of its own, found an experiment that is trained. Next: give another --exp")
    experiment = Experiment.read(config, overrides)
    task, built = experiment.build()
    model = task.model
    if not isinstance(model, SynthesisModel):
        raise UserError(f"{config}: expected a model of synthesis, found {type(model).__name__}. Next: give such a --config")
    rows, figures = [], dict[str, float]()
    for block in BLOCKS:
        factors = measure(model, block)
        logger.info("blocks of %d ms: real-time factor %.3f (processor %.3f)", block, factors.wall, factors.processor)
        rows.append({"id": f"{block}ms", "metrics": {}, **factors._asdict()})
        figures |= {f"real_time_factor/median/{block}ms": factors.wall, f"processor_factor/median/{block}ms": factors.processor}
    run = {
        "recipe": "/".join(Path.cwd().parts[-2:]),
        "config": str(config),
        "overrides": overrides,
        "commit": commit(),
        "config_hash": experiment.fingerprint,
        "seed": built.train.seed,
        "device": f"cpu ({processor()}, 1 thread)",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "model_mb": round(model.size_mb(), 3),
        **{"steps": 0, "epochs": 0, "edition": "full"},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    data = f"real_time/{model.sample_rate}"
    summary = {"split": "test", "data": data, "edition": "full", "items": len(rows), "skipped": 0, "metrics": figures}
    files.write_text(exp / "scores" / "test.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    files.write_json(exp / "scores" / "test.summary.json", summary)
    files.write_json(exp / "run.json", run)


def measure(model: SynthesisModel, block: int) -> Factors:
    """Play a stream of random pitches and loudnesses on one core, one performance, its state carried from block to block.

    Args:
        model: what renders; put in evaluation mode.
        block: ms.

    Raises:
        UserError: a block is no whole number of the model's frames, or the model needs the whole performance at once.
    """
    frames, rest = divmod(block * model.sample_rate, 1000 * model.hop_length)
    if rest or not frames:
        hop = 1000 * model.hop_length / model.sample_rate
        raise UserError(f"blocks of {block} ms: expected whole frames, found frames of {hop:g} ms. Next: change the hop_length")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return _time(model.eval(), frames, block / 1000)
    except ValueError as error:
        raise UserError(f"the model cannot be streamed: {error}. Next: give another --config") from error
    finally:
        torch.set_num_threads(threads)


def _time(model: SynthesisModel, frames: int, seconds: float) -> Factors:
    state, wall, used = None, list[float](), list[float]()
    began = time.perf_counter()
    while len(wall) < WARM_UP + FEWEST or (len(wall) < WARM_UP + MOST and time.perf_counter() - began < LONGEST):
        performance = _perform(model, frames)
        clock, work = time.perf_counter(), time.process_time()
        _, state = model.step(performance, state)
        wall.append(time.perf_counter() - clock)
        used.append(time.process_time() - work)
    median_wall, median_used = (statistics.median(times[WARM_UP:]) for times in (wall, used))
    return Factors(median_wall / seconds, median_used / seconds, len(wall) - WARM_UP)


def _perform(model: SynthesisModel, frames: int) -> Performance:
    """Any frames of a note around 440 Hz and -20 dB, and noise for a model that listens."""
    samples = frames * model.hop_length
    f0, loudness = 440 + 10 * torch.randn(1, frames), -20 + torch.randn(1, frames)
    return Performance(0.1 * torch.randn(1, samples), f0, loudness, torch.tensor([samples]), [""])


def processor() -> str:
    """The processor's name, where the system tells it."""
    told = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", told.read_text()) if told.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()
