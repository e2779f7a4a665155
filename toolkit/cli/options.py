"""The options of each verb: a function of the verb's name adds them to its parser; others add what several verbs share."""

import argparse
from pathlib import Path

Arguments = argparse.Namespace


def count(text: str) -> int:
    """How many: 1 or more.

    Raises:
        ArgumentTypeError: it is less; told in one line, as argparse does.
    """
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {number}")
    return number


def config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="YAML file; any value may be overridden: --train.epochs 3")


def device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of everything prepared")


def exp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exp", type=Path, required=True, help="the experiment's folder")
    parser.add_argument("--split", default="test", choices=["train", "valid", "test"], help="as the config names its data")


def workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nj", type=count, help="parallel processes; all cores if not given")


def launcher(parser: argparse.ArgumentParser) -> None:
    what = "slurm: as jobs of a cluster, see utils/cluster.yaml (default: here)"
    parser.add_argument("--launcher", choices=["local", "slurm"], default="local", help=what)
    parser.add_argument("--dry-run", action="store_true", help="with --launcher slurm: print what would be submitted")


def corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the corpus, e.g. wsj0_mix; may be left out where --config names the data of one")
    parser.add_argument("--corpus", default="mini", help="folder of the corpus as published; mini; download")
    parser.add_argument("--config", type=Path, help="obtain and make what this config's data section names")
    data(parser)


def prepare(parser: argparse.ArgumentParser) -> None:
    corpus(parser)
    workers(parser)
    parser.add_argument("--strict", action="store_true", help="an unusable file is an error, not a named skip")
    launcher(parser)


def features(parser: argparse.ArgumentParser) -> None:
    config(parser)
    data(parser)
    device(parser)
    launcher(parser)


def train(parser: argparse.ArgumentParser) -> None:
    features(parser)
    parser.add_argument("--exp", type=Path, required=True, help="the experiment's folder")
    parser.add_argument("--ngpu", type=count, help="GPUs, each for a process under torchrun; one if not given")


def infer(parser: argparse.ArgumentParser) -> None:
    exp(parser)
    data(parser)
    device(parser)
    launcher(parser)


def score(parser: argparse.ArgumentParser) -> None:
    exp(parser)
    data(parser)
    workers(parser)
    launcher(parser)


def report(parser: argparse.ArgumentParser) -> None:
    exp(parser)
    data(parser)
    parser.add_argument("--paper", type=Path, default=Path("paper.yaml"), help="what the paper claims")
    parser.add_argument("--baseline", type=Path, metavar="EXP", help="an experiment that the page also holds this one against")


def compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exps", nargs="+", type=Path, help="experiments; the others are held against the first")
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path, help="also write an HTML page here")


def sweep(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    config(parser)
    prepared = "folder of everything prepared (%(default)s, as of run.sh)"
    add("--data", type=Path, default=Path("../data/mini"), help=prepared)
    add("--grid", action="append", default=[], metavar="AXES", help="every combination of 'train.seed: [0, 1]'; or a YAML file")
    entries = "each of '[{tag: NAME, model.separator: DPRNN}, ...]', with each combination of the grid; or a YAML file"
    add("--list", metavar="ENTRIES", help=entries)
    add("--launcher", choices=["local", "slurm"], default="local", help="slurm: as jobs of a cluster, see utils/cluster.yaml")
    add("--at-once", type=count, metavar="N", help="experiments side by side (default: 1; with slurm all of them)")
    add("--out", type=Path, default=Path("exp/sweep.html"), help="page of the comparison (%(default)s); or .md")
    add("--ngpu", type=count, help="GPUs of each training")
    workers(parser)
    device(parser)


def reference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exps", nargs="+", type=Path, help="trained experiments of one config that differ in their seed")


def separate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recordings", nargs="+", metavar="INPUT", help="audio files, or quoted patterns: 'songs/*.mp3'")
    add("--model", type=Path, required=True, help="a trained experiment's folder, or a pack")
    add("-o", "--out", type=Path, default=Path("separated"), help="folder for what comes out (%(default)s)")
    add("--two-stems", metavar="STEM", help="only STEM and no_STEM")
    methods, modes = ["add", "minus", "none"], ["rescale", "clamp", "none"]
    how = "no_STEM as the sum of the others, minus_STEM as the recording less STEM, no such file"
    add("--other-method", choices=methods, default="add", help=how)
    add("--shifts", type=int, metavar="N", help="predictions averaged, each randomly delayed; N times the work")
    add("--overlap", type=float, metavar="F", help="share of a segment that overlaps the next, 0 to 0.5")
    add("--segment", type=float, metavar="S", help="seconds at once; shorter ones need less memory")
    device(parser)
    add("-j", "--jobs", type=count, default=1, help="segments at a time, each by a thread of its own: faster on many cores")
    add("--format", choices=["wav", "flac", "mp3"], default="wav")
    add("--bits", choices=["16", "24", "float32"], default="16", help="of wav and flac; float32 (wav) keeps every level")
    what = "what is too loud: turn all of the file down, cut at 0.99, cut at full scale"
    add("--clip-mode", choices=modes, default="rescale", help=what)
    add("--mp3-bitrate", type=int, default=320, metavar="KBIT", help="kbit/s (%(default)s)")
    add("--filename", default="{track}/{stem}.{ext}", help="may also hold {trackext} (%(default)s)")
    add("--force", action="store_true", help="separate although the files are there already")


def tag(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recordings", nargs="+", metavar="FILE", help="audio files, or quoted patterns: 'songs/*.mp3'")
    add("--model", type=Path, required=True, help="a trained experiment's folder, or a pack")
    add("--top", type=int, metavar="N", help="only the N likeliest tags (5 in a table, else all)")
    add("--threshold", type=float, default=0.0, metavar="P", help="only tags of at least this probability")
    add("--every", type=seconds, metavar="S", help="over time, from second to second: 1s, 0.5s")
    add("--picture", type=Path, metavar="FOLDER", help="with --every: a PNG of the tags over time for each file")
    form = parser.add_mutually_exclusive_group()
    one_object, one_probability = "one object a line and file, not a table", "one probability a line, not a table"
    form.add_argument("--json", dest="form", action="store_const", const="json", default="table", help=one_object)
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help=one_probability)
    device(parser)


def pitch(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recordings", nargs="+", metavar="FILE", help="audio files, or quoted patterns: 'solos/*.wav'")
    add("--model", type=Path, required=True, help="a trained experiment's folder, or a pack")
    add("-o", "--out", type=Path, metavar="FOLDER", help="a file for each recording, instead of telling its curve here")
    add(
        "--json", dest="form", action="store_const", const="json", default="csv", help="one object a file, not one frame a line"
    )
    add("--threshold", type=float, metavar="P", help="0 Hz where the confidence is below it")
    add("--picture", type=Path, metavar="FOLDER", help="a PNG of the curve over the spectrum for each file")
    what = "times and Hz of the one file: tell how far the curve agrees, instead of the curve"
    add("--reference", type=Path, metavar="CSV", help=what)
    device(parser)


def resynth(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recording", type=Path, metavar="FILE", help="an audio file, of one instrument or voice")
    add("--model", type=Path, required=True, help="a trained experiment's folder, a pack, or a folder of several of them")
    add("--as", dest="instrument", metavar="INSTRUMENT", help="that the model was trained on, e.g. trumpet")
    add("--transpose", type=float, default=0.0, metavar="SEMITONES", help="upwards; may be negative or broken")
    add("-o", "--out", type=Path, metavar="FILE", help="WAV, FLAC or MP3; resynthesized/FILE-INSTRUMENT.wav if not given")
    how = "pyin, crepe, or a trained model of pitch; what the model was trained with if not given, pyin if that was annotated"
    add("--pitch", metavar="METHOD", help=how)
    device(parser)


def seconds(text: str) -> float:
    """`1s` or `0.5`."""
    return float(text.removesuffix("s"))


def pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exp", type=Path, help="a trained experiment's folder")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to make")


def push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", type=Path, help="a folder that `toolkit pack` made")
    parser.add_argument("repo", help="on the Hugging Face Hub: user/name")
    how = "of the weights, as the hub names it: mit, cc-by-nc-sa-4.0 (%(default)s)"
    parser.add_argument("--licence", default="unknown", metavar="NAME", help=how)


def export(parser: argparse.ArgumentParser) -> None:
    from toolkit.infer.export_table import text

    parser.add_argument("model", type=Path, help="a trained experiment's folder, or a pack")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="to write: FILE.onnx, FILE.pt2 or FILE.ts"
    )
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, text()


def blocks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slot", nargs="?", help="e.g. Separator; all slots if not given")


def realtime(parser: argparse.ArgumentParser) -> None:
    config(parser)
    parser.add_argument("--exp", type=Path, required=True, help="folder that the figures are kept in, for `toolkit report`")


def index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--egs", type=Path, default=Path("egs"))
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
