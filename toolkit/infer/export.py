"""`toolkit export`: a trained model as a file that other programs compute, checked before it gets its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolkit import __version__, files, log
from toolkit.infer.export_formats import FORMATS, Axes, Format, Runner, quiet
from toolkit.infer.export_networks import Network, network
from toolkit.infer.export_table import OPEN, others
from toolkit.infer.opened import opened
from toolkit.log import UserError

TOLERANCE = 1e-4  # of the largest number that the model gives: what an exported network may be off
LONGEST = 240  # characters of a reason

logger = log.get(__name__)


def export(model: Path, out: Path) -> Path:
    """Write the network of a trained model as ONNX, as a program of `torch.export` or as TorchScript.

    Axes of batch and time are left open where the model allows that (`toolkit.infer.export_table`), else the file is for one
    segment of one length.  What was written is opened again and computed on random input, as long as a segment, shorter and
    longer; where it is more than `TOLERANCE` of the largest number off what the model gives, there is no file.
    Beside it stands ``FILE.json``: names, shapes and types of inputs and outputs, the sample rate, the names of sources or
    tags, what is to be done to recordings outside of the network, and how far the outputs were apart.

    Args:
        model: a trained experiment, or a pack.
        out: the file, ``.onnx``, ``.pt2`` or ``.ts``; `toolkit.infer.export_formats` tells what opening such files executes.

    Returns:
        `out`.

    Raises:
        UserError: the file's name tells no format or is taken, a package is missing, or the model cannot be exported.
        OSError: nothing can be written there.
    """
    form = FORMATS.get(out.suffix)
    if form is None:
        raise UserError(f"-o {out}: expected a name that ends in {', '.join(FORMATS)}, found {out.suffix or 'no suffix'}")
    if out.exists():
        raise UserError(f"{out} exists already. Next: give -o another name, or remove it")
    form.check()
    trained = opened(model)
    task = trained.task.config.task
    if task not in OPEN:
        raise UserError(f"{model}: expected a model of {', '.join(OPEN)}, found one of the task {task}, which is not exported")
    exported = network(trained)
    _refuse_random(exported)
    names: Axes = frozenset(name for read in exported.reads for name in read.axes.values())
    reason = ""
    for axes in dict.fromkeys([names, names & {"batch"}, frozenset[str]()]):  # the fewer are open, the more models allow it
        try:
            _write(exported if "batch" in axes else exported.of_one(), form, axes, out)
            return out
        except Exception as error:  # exporters raise what they like
            if isinstance(error, OSError) and files.advice(error):  # a full disk, whatever the axes
                raise
            reason = _reason(error)
            logger.info("not with %s open: %s", " and ".join(sorted(axes)) or "nothing", reason)
    known = " or ".join(str(out.with_suffix(suffix)) for suffix in others(task, out.suffix))
    raise UserError(f"{model} cannot be exported as {out.suffix[1:]}: {reason}. Next: -o {known}")


def _write(exported: Network, form: Format, axes: Axes, out: Path) -> None:
    """Write the file, and what it holds beside it, if it computes what the network computes."""
    with quiet(), files.atomic(out) as partial:
        left = form.write(exported, axes, partial)
        if "batch" in axes - left:
            raise DifferentError("it would be for as many items as the example has")
        told = compared(exported, form.open(partial), left)
        files.write_json(out.with_name(out.name + ".json"), {**_made(out, form), **exported.facts, **told})


class DifferentError(Exception):
    """A file that does not compute what the model computes."""


def compared(exported: Network, run: Runner, axes: Axes) -> dict[str, Any]:
    """Compute both on the example and on inputs of other lengths.

    Args:
        exported: the network.
        run: the one that was read from the file.
        axes: names of those that may have other lengths.

    Returns:
        Inputs and outputs with their shapes, a name or null for what depends on the input, and the largest difference.

    Raises:
        DifferentError: they are further apart than `TOLERANCE`.
    """
    names = sorted(axes)
    lengths_of = zip(*(_other_lengths(exported, name) for name in names), strict=True)
    sizes = [{}, *(dict(zip(names, lengths, strict=True)) for lengths in lengths_of)]
    given = [[_resized(read.example, read.axes, size) for read in exported.reads] for size in sizes]
    expected = [_outputs(exported, inputs) for inputs in given]
    apart = max(_apart(wanted, run(*inputs), inputs) for wanted, inputs in zip(expected, given, strict=True))
    lengths = {name: [inputs[number].shape[axis] for inputs in given] for number, axis, name in _open_axes(exported, axes)}
    reads: list[dict[str, Any]] = [
        {"name": read.name, "shape": [read.axes[axis] if read.axes.get(axis) in axes else size for axis, size in shape]}
        for read, shape in ((read, enumerate(read.example.shape)) for read in exported.reads)
    ]
    gives: list[dict[str, Any]] = [
        {"name": name, "shape": [_named(list(pair), lengths) for pair in zip(*(values.shape for values in pairs), strict=True)]}
        for name, pairs in zip(exported.gives, zip(*expected, strict=True), strict=True)
    ]
    for told, tensor in zip([*reads, *gives], [*given[0], *expected[0]], strict=True):
        told["type"] = str(tensor.dtype).removeprefix("torch.")
    return {"inputs": reads, "outputs": gives, "largest_difference": apart, "tolerance": TOLERANCE}


def _outputs(exported: Network, inputs: Sequence[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        found = exported.module(*inputs)
    return [found] if isinstance(found, Tensor) else list(found)


def _refuse_random(exported: Network) -> None:
    examples = [read.example for read in exported.reads]
    first, second = _outputs(exported, examples), _outputs(exported, examples)
    if not all(map(torch.equal, first, second)):
        raise UserError("the model draws random numbers, so that no two outputs are equal and none could be checked")


def _other_lengths(exported: Network, name: str) -> tuple[int, int]:
    """A shorter and a longer one of an axis than the example's: one item and three, else odd numbers of no hop."""
    size = next(read.example.shape[axis] for read in exported.reads for axis, own in read.axes.items() if own == name)
    return (1, 3) if name == "batch" else (max(1, (3 * size // 4 - 1) | 1), (3 * size // 2) | 1)


def _resized(example: Tensor, axes: dict[int, str], sizes: dict[str, int]) -> Tensor:
    """The example, cut off or begun anew at the end of an axis."""
    for axis, name in axes.items():
        places = torch.arange(sizes.get(name, example.shape[axis])) % example.shape[axis]
        example = example.index_select(axis, places)
    return example


def _apart(expected: Sequence[Tensor], found: Sequence[Tensor], inputs: Sequence[Tensor]) -> float:
    """The largest difference, as a share of the largest number."""
    largest = 0.0
    for wanted, output in zip(expected, found, strict=True):
        if wanted.shape != output.shape:
            shape = [tuple(given.shape) for given in inputs]
            raise DifferentError(f"given {shape} it returns the shape {tuple(output.shape)}, not {tuple(wanted.shape)}")
        apart = float((wanted.double() - output.double()).abs().max() / wanted.double().abs().max().clamp(min=1e-12))
        if not apart <= TOLERANCE:
            raise DifferentError(f"its output is {apart:.2g} of the largest number off, {TOLERANCE:g} being allowed")
        largest = max(largest, apart)
    return largest


def _open_axes(exported: Network, axes: Axes) -> list[tuple[int, int, str]]:
    """Number of the input, its axis, and the axis' name."""
    found = ((number, axis, name) for number, read in enumerate(exported.reads) for axis, name in read.axes.items())
    return [one for one in found if one[2] in axes]


def _named(sizes: list[int], lengths: dict[str, list[int]]) -> str | int | None:
    """An axis of an output: its length; a name, if it is as long as an input's axis of that name; None if it only depends."""
    if len(set(sizes)) == 1:
        return sizes[0]
    return next((name for name, found in lengths.items() if found == sizes), None)


def _made(out: Path, form: Format) -> dict[str, Any]:
    return {"file": out.name, "format": type(form).__name__, "reprise": __version__, "torch": str(torch.__version__)}


def _reason(error: BaseException) -> str:
    """What an exporter could not do, in a line: the operation that it names, or the first words of the innermost error."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    told = [" ".join(str(one).split()) for one in causes]
    if "TorchScript interpreter" in told[-1]:
        told.append(str(causes[-1]).strip().splitlines()[-1])  # what is before it is a traceback
    for text in told:
        if operation := re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)', overload='(\w+)'", text):
            return f"ONNX has nothing for the operation {operation[1]}.{operation[2]}" + (
                " of complex numbers" * ("complex" in text)
            )
    said = next((text for text in reversed(told) if text), type(error).__name__)
    return said if len(said) <= LONGEST else said[:LONGEST] + " …"
