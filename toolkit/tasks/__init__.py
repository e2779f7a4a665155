"""Tasks: what one batch means.  A config's `task` chooses one by name."""

from importlib import import_module

from toolkit.log import UserError, suggestion
from toolkit.tasks.base import Examples, Task

__all__ = ["TASKS", "Examples", "Task", "find"]

TASKS = {
    "separation": "toolkit.tasks.separation.Separation",
    "tagging": "toolkit.tasks.tagging.Tagging",
    "synthesis": "toolkit.tasks.synthesis.Synthesis",
    "pitch": "toolkit.tasks.pitch.PitchTracking",
    "hypotheses": "toolkit.tasks.hypotheses.HypothesisLearning",
    "latent": "toolkit.tasks.latent.LatentLearning",
    "language": "toolkit.tasks.language.LanguageModelling",
    "oracle": "toolkit.tasks.oracle.OracleSeparation",
}


def find(name: str) -> type[Task]:
    """The task of that name.

    Raises:
        UserError: there is none.
    """
    if not isinstance(name, str) or name not in TASKS:
        raise UserError(f"task: no task is called {name!r}{suggestion(str(name), TASKS)}")
    module, _, cls = TASKS[name].rpartition(".")
    return getattr(import_module(module), cls)
