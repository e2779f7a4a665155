"""Formats that networks are exported in: how each is written, and how what was written is run again.

What opening such a file executes, for whoever gets one from elsewhere:

- ``.onnx`` is a protocol buffer of a graph of known operations with its weights; onnxruntime computes it, and nothing in it is
  code.
- ``.pt2`` (`torch.export`) is a zip archive of a graph in JSON and of weights.  Those written here hold plain tensors.
  But a file may say of any weight that it is pickled; `torch.export.load` then unpickles it, and evaluates what the file has
  for the sizes of tensors.  One made to do harm executes what it likes: open those you trust.
- ``.ts`` (TorchScript) is a zip archive of a program and of pickled data.  No class of Python is unpickled, but the program
  runs, and its operations may read and write files: open those you trust.
"""

from __future__ import annotations

import gc
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolkit.infer.export_networks import Network
from toolkit.log import UserError

Runner = Callable[..., Sequence[Tensor]]  # inputs to outputs
Axes = frozenset[str]  # names of axes that may have another length than in the example

NO_OPERATIONS = (torch.ops.aten.alias.default, torch.ops.aten.detach.default)


class Format(ABC):
    """One way to write a network down."""

    @abstractmethod
    def write(self, network: Network, axes: Axes, path: Path) -> Axes:
        """Write it; those of the axes that the file leaves open are returned."""

    @abstractmethod
    def open(self, path: Path) -> Runner:
        """What computes the file's network."""

    def check(self) -> None:  # noqa: B027  (most need nothing)
        """See that what is needed is there.

        Raises:
            UserError: a package is missing.
        """


class TorchExport(Format):
    """A program of `torch.export`."""

    def write(self, network: Network, axes: Axes, path: Path) -> Axes:
        """See `Format`."""
        program, left = _program(network, axes)
        torch.export.save(program, path)
        return left

    def open(self, path: Path) -> Runner:
        """See `Format`."""
        return _several(torch.export.load(path).module())


class ONNX(Format):
    """An ONNX model, weights in the same file; made of a program of `torch.export`."""

    def write(self, network: Network, axes: Axes, path: Path) -> Axes:
        """See `Format`."""
        program, left = _program(network, axes)
        _without_no_operations(program)
        torch.onnx.export(
            program,
            f=str(path),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[read.name for read in network.reads],
            output_names=list(network.gives),
        )
        return left

    def open(self, path: Path) -> Runner:
        """See `Format`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, too
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]

        def run(*inputs: Tensor) -> list[Tensor]:
            found = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
            return [torch.from_numpy(output) for output in found]

        return run

    def check(self) -> None:
        """See `Format`."""
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise UserError(f"ONNX needs {error.name}. Next: pip install onnx onnxscript onnxruntime") from error


class TorchScript(Format):
    """A TorchScript program, recorded while the network computes the example."""

    def write(self, network: Network, axes: Axes, path: Path) -> Axes:
        """See `Format`."""
        examples = tuple(read.example for read in network.reads)
        with _as_if_exported():
            torch.jit.trace(network.module, examples, check_trace=False).save(str(path))
        return axes  # it cannot be seen which are

    def open(self, path: Path) -> Runner:
        """See `Format`."""
        return _several(torch.jit.load(str(path)))


FORMATS: dict[str, Format] = {".onnx": ONNX(), ".pt2": TorchExport(), ".ts": TorchScript()}


@contextmanager
def quiet() -> Iterator[None]:
    """Exporters' warnings are of no use to whoever asked for a file that is checked anyway; nor is what they leave behind."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
        gc.collect()  # `torch.export` leaves classes with the names of ours, which would be taken for them


def _program(network: Network, axes: Axes) -> tuple[torch.export.ExportedProgram, Axes]:
    """The network as `torch.export` sees it, and those of the axes that it could leave open."""
    open_ = [{axis: torch.export.Dim.AUTO for axis, name in read.axes.items() if name in axes} for read in network.reads]
    examples = tuple(read.example for read in network.reads)
    program = torch.export.export(network.module, examples, dynamic_shapes={"inputs": tuple(open_)})
    program.example_inputs = None  # or they were stored, pickled
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # has the folders of this machine
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    shapes = [values[name].shape for name in program.graph_signature.user_inputs if isinstance(name, str)]
    named = [(name, shape[axis]) for read, shape in zip(network.reads, shapes, strict=True) for axis, name in read.axes.items()]
    closed = {name for name, size in named if not isinstance(size, torch.SymInt)}
    return program, axes - closed


def _without_no_operations(program: torch.export.ExportedProgram) -> None:
    """Take out what only gives a tensor another name, which ONNX's exporter does not know of complex ones."""
    for module in program.graph_module.modules():  # what runs in full precision is a graph of its own within
        if isinstance(module, torch.fx.GraphModule):
            for node in list(module.graph.nodes):
                if node.target in NO_OPERATIONS:
                    node.replace_all_uses_with(node.args[0])
                    module.graph.erase_node(node)
            module.recompile()


@contextmanager
def _as_if_exported() -> Iterator[None]:
    """Let blocks take the operations that `torch.export` sees: no functions with gradients of their own, sizes left open."""
    flags = "_is_compiling_flag", "_is_exporting_flag"
    before = [getattr(torch.compiler, flag) for flag in flags]
    for flag in flags:
        setattr(torch.compiler, flag, True)
    try:
        yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            setattr(torch.compiler, flag, value)


def _several(function: Callable[..., Any]) -> Runner:
    """A function that may give one tensor or some, as one that gives some."""

    def run(*inputs: Tensor) -> Sequence[Tensor]:
        found = function(*inputs)
        return [found] if isinstance(found, Tensor) else list(found)

    return run
