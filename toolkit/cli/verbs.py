"""What each verb does, given its options: a function of the verb's name.

What it needs is imported when it runs, so that help and "nothing to do" come at once.
"""

import contextlib
import os
import sys
from pathlib import Path

from toolkit import log, stages
from toolkit.cli import books
from toolkit.cli.options import Arguments
from toolkit.launch.parts import Part
from toolkit.log import UserError

logger = log.get(__name__)


def fetch(a: Arguments) -> None:
    from toolkit.prepare.run import fetch

    fetch(a.name, a.corpus, a.data, a.rest)


def prepare(a: Arguments) -> list[Path]:
    from toolkit.prepare.run import prepare

    prepare(a.name, a.corpus, a.data, a.nj, a.strict, books.wanted(a), books.of_corpus(a))
    return books.manifests_in(a.data)


def features(a: Arguments) -> list[Path]:
    from toolkit.features.run import features

    return features(a.data, a.config, a.rest, a.device, Part.here())


def train(a: Arguments) -> None:
    """Train here, or begin several processes, each of which comes here again.

    Raises:
        UserError: one of the processes failed.
    """
    one_of_several = "PET_NNODES" in os.environ  # nodes: whoever launched us has told torchrun the rest
    count = a.ngpu or int(os.environ.get("PET_NPROC_PER_NODE", "1"))
    if (count > 1 or one_of_several) and "WORLD_SIZE" not in os.environ:
        from toolkit.train import stopping

        where = [] if one_of_several else ["--standalone"]
        command = [sys.executable, "-m", "torch.distributed.run", *where, f"--nproc-per-node={count}"]
        if stopping.run_together([*command, "-m", "toolkit", *a.words]):
            raise UserError(f"training in {count} processes failed; the reason stands above. Next: run the same command again")
        return
    from toolkit.train.run import train

    with _alone_in(a.exp):
        train(a.config, a.data, a.exp, a.device, a.rest)


def _alone_in(exp: Path) -> contextlib.AbstractContextManager[None]:
    """No second training in the same folder, even where whoever keeps the books of the first was killed and it goes on."""
    if os.environ.get("RANK", "0") != "0":
        return contextlib.nullcontext()
    return stages.alone(exp / ".stages" / "training.lock", f"training in {exp}")


def infer(a: Arguments) -> None:
    from toolkit.infer.run import infer

    infer(a.exp, a.data, a.split, a.device, Part.here())


def score(a: Arguments) -> None:
    from toolkit.score.run import score

    score(a.exp, a.data, a.split, a.nj, Part.here())


def report(a: Arguments) -> None:
    from toolkit.report import report

    page = report(a.exp, a.paper, a.split, a.data, a.baseline)
    logger.info("the report: %s", page)


def compare(a: Arguments) -> None:
    from toolkit.report.compare import compare

    print(compare(a.exps, a.split, a.out))


def sweep(a: Arguments) -> None:
    from toolkit import cli
    from toolkit.sweep import axes
    from toolkit.sweep.run import How, sweep

    found = axes.combinations(a.config, a.rest, a.grid, a.list)
    how = How(a.launcher, a.at_once, a.device, a.nj, a.ngpu)
    outcome = sweep(a.config, a.data, found, how, cli.state_of, a.out)
    print(outcome.comparison)
    outcome.check()


def reference(a: Arguments) -> None:
    from toolkit.train.reference_curve import write

    logger.info("the reference curve: %s", write(a.exps))


def separate(a: Arguments) -> None:
    from toolkit.audio import Encoding
    from toolkit.infer.separate import Output, separate

    encoding = Encoding(a.format, a.bits, a.clip_mode, a.mp3_bitrate)
    output = Output(a.out, a.filename, a.two_stems, a.other_method, encoding, a.force)
    separate(a.recordings, a.model, output, a.device, a.segment, a.overlap, a.shifts, a.jobs)


def tag(a: Arguments) -> None:
    from toolkit.infer.tag import Shown, tag

    shown = Shown(a.form, a.top, a.threshold, a.every, a.picture)
    for told in tag(a.recordings, a.model, shown, a.device):
        print(told, end="", flush=True)


def pitch(a: Arguments) -> None:
    from toolkit.infer.pitch import Told, pitch

    told = Told(a.form, a.threshold, a.out, a.picture, a.reference)
    for text in pitch(a.recordings, a.model, told, a.device):
        print(text, end="", flush=True)


def resynth(a: Arguments) -> None:
    from toolkit.infer.resynth import resynth

    resynth(a.recording, a.model, a.instrument, a.transpose, a.out, a.pitch, a.device)


def pack(a: Arguments) -> None:
    from toolkit.infer.pack import pack

    logger.info("packed: %s", pack(a.exp, a.out))


def push(a: Arguments) -> None:
    from toolkit.infer.hub import push

    logger.info("pushed: %s", push(a.pack, a.repo, a.licence))


def export(a: Arguments) -> None:
    from toolkit.infer.export import export

    logger.info("exported: %s", export(a.model, a.out))


def blocks(a: Arguments) -> None:
    from toolkit.report.blocks import table

    print(table(a.slot))


def summary(a: Arguments) -> None:
    from toolkit.report.summary import summary

    print(summary(a.config, a.rest))


def realtime(a: Arguments) -> None:
    from toolkit.score.real_time import real_time

    real_time(a.config, a.exp, a.rest)


def index(a: Arguments) -> None:
    from toolkit.report.results import write_index

    write_index(a.egs, a.readme)
