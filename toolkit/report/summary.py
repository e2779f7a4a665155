"""`toolkit summary`: a configuration's model on the meta device: its tree, parameters, work, reach and memory."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from toolkit.report import effort
from toolkit.tasks.experiment import Experiment

DEPTH = 3  # levels of the tree that are shown


def summary(config: Path, overrides: list[str]) -> str:
    """Describe a model without computing anything.

    Args:
        config: YAML file.
        overrides: words such as ``--model.separator DPRNN``.

    Raises:
        UserError: the configuration is wrong, or the blocks do not fit each other.
    """
    task, built = Experiment.read(config, overrides).build("meta")
    task.check()
    model = task.model
    total = _parameters(model)
    lines = [*_tree(type(model).__name__, model, 0), "", f"parameters          {total:,} ({4 * total / 2**20:.1f} MiB as fp32)"]
    batch, work = built.data.batch_size, effort.work(task)
    size = f"{batch} x {work.seconds:g} s" if work.seconds else f"{batch} examples"
    lines += [
        f"multiply-adds       {work} (recurrences left out)",
        f"activations         {work.activations * batch / 2**20:,.0f} MiB in training, {size}",
    ]
    reach = getattr(model, "receptive_field", None)
    if reach is not None:
        lines.append(f"receptive field     {f'{reach / built.data.sample_rate:.3f} s' if reach else 'the whole signal'}")
    return "\n".join([*lines, f"contracts           kept: {task.contract}"])


def _tree(name: str, module: nn.Module, depth: int) -> list[str]:
    lines = [f"{'  ' * depth + name:<46} {_parameters(module):>14,}"]
    if depth < DEPTH:
        for child_name, child in module.named_children():
            if _parameters(child):
                lines += _tree(f"{child_name}: {type(child).__name__}", child, depth + 1)
    return lines


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
