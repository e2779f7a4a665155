"""Packs on the Hugging Face Hub: `toolkit push` and `toolkit.from_pretrained`.

Of a repository only the files of a pack are ever sent or fetched, each by its name; what is fetched is opened as any pack is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from toolkit import __version__, files, log
from toolkit.infer.opened import opened
from toolkit.infer.pack import CARD, KEPT, WEIGHTS, corpora
from toolkit.infer.use import Usable
from toolkit.log import UserError
from toolkit.report.runs import FULL, Run
from toolkit.tasks.language import CODEC
from toolkit.tasks.latent import LABELS
from toolkit.tasks.tagging import TAGS

SCORES = tuple(f"scores/{split}.summary.json" for split in ("train", "valid", "test"))
FILES = (*KEPT, *WEIGHTS, TAGS, LABELS, CODEC, *SCORES)  # of a pack beside its card, whatever its task
FRONT = "README.md"  # what the hub shows of a repository: the card, with what the hub searches by before it
LIBRARY = "reprise"
PIPELINES = {"separation": "audio-to-audio", "tagging": "audio-classification"}  # names that the hub has for tasks

logger = log.get(__name__)


def push(folder: Path, repo: str, licence: str = "unknown") -> str:
    """Send a pack to the hub, into a repository that is made if there is none.

    What an older pack had in the repository and this one has not is removed there; all other files stay.

    Args:
        folder: a pack.
        repo: ``user/name``.
        licence: of the weights, as the hub names it, e.g. ``mit``.

    Returns:
        Address of the repository.

    Raises:
        UserError: the folder is no pack that can be opened, huggingface_hub is missing, the hub refuses or is out of reach.
    """
    if not (folder / CARD).is_file():
        raise UserError(f"{folder}: expected a pack, found no {CARD} in it. Next: toolkit pack {folder} -o FOLDER")
    hub = _library()
    trained, run = opened(folder), Run.read(folder)  # what cannot be opened is not given away
    weights = next(name for name in WEIGHTS if (folder / name).is_file())  # the ones that are loaded
    sent = [name for name in (*KEPT, weights, *trained.kept, *SCORES) if (folder / name).is_file()]
    left = sorted(path.name for path in folder.iterdir() if path.name not in (*sent, CARD, "scores"))
    if left:
        logger.info("not sent, as it is no part of a pack: %s", log.listing(left))
    text = files.read_text(folder / CARD, "toolkit pack EXP -o FOLDER makes it anew")
    page = front_matter(run, trained, licence) + fetched_from(repo, text)
    added = [hub.CommitOperationAdd(name, str(folder / name)) for name in sent]
    added.append(hub.CommitOperationAdd(FRONT, page.encode()))
    api = hub.HfApi(library_name=LIBRARY, library_version=__version__)
    with _told(repo):
        address = api.create_repo(repo, exist_ok=True)
        stale = sorted(set(FILES).difference(sent).intersection(api.list_repo_files(repo)))
        operations = [*added, *(hub.CommitOperationDelete(name) for name in stale)]
        api.create_commit(repo, operations, commit_message=f"{run.info.get('recipe', run.tag)} by Reprise {__version__}")
    return str(address)


def fetch(repo: str, revision: str | None = None) -> Path:
    """Fetch a pack from the hub, or find it where it was fetched to before.

    Args:
        repo: ``user/name``.
        revision: a branch, a tag or a commit; the newest if not given.

    Returns:
        Its folder in huggingface_hub's cache; other files that the repository may have are not in it.

    Raises:
        UserError: huggingface_hub is missing, the hub has no such repository or revision, or cannot be reached.
    """
    hub = _library()
    with _told(repo, revision):
        folder = hub.snapshot_download(
            repo, revision=revision, allow_patterns=[*FILES, FRONT], library_name=LIBRARY, library_version=__version__
        )
    if not (Path(folder) / KEPT[0]).is_file():
        raise UserError(
            f"{repo} on the hub: expected a pack, found no {KEPT[0]} in it. Next: see what `toolkit push` sent there"
        )
    return Path(folder)


def front_matter(run: Run, trained: Usable, licence: str) -> str:
    """What the hub searches by, YAML between lines of dashes: licence, tags, metrics, and scores of full corpora."""
    task, hub = run.task or "", _library()
    found = [
        (split, summary["data"], metric, value)
        for split, summary in run.summaries.items()
        for metric, value in summary["metrics"].items()
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    results = [
        hub.EvalResult(PIPELINES.get(task, task), data.partition("/")[0], data, metric, value, dataset_split=split)
        for split, data, metric, value in found
        if run.edition(split) == FULL
    ]
    data = hub.ModelCardData(
        license=licence,
        library_name=LIBRARY,
        pipeline_tag=PIPELINES.get(task),
        tags=[LIBRARY, task, type(trained.task.model).__name__, *corpora(run.info)],
        metrics=list(dict.fromkeys(metric.partition("/")[0] for _, _, metric, _ in found)) or None,
        model_name=str(run.info.get("recipe", run.tag)) if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def fetched_from(repo: str, text: str) -> str:
    """The text of a card as the hub shows it: its commands first fetch the model, which the reader does not have yet."""
    name = repo.rpartition("/")[2]
    text = re.sub(r'toolkit\.load\("[^"]*"\)', f'toolkit.from_pretrained("{repo}")', text)
    fetching = f"hf download {repo} --local-dir {name}"
    return re.sub(r"^(toolkit .*--model) \S+", rf"{fetching}\n\1 {name}", text, flags=re.MULTILINE)


def _library() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError("the hub is reached by huggingface_hub. Next: pip install huggingface_hub") from error
    return huggingface_hub


@contextmanager
def _told(repo: str, revision: str | None = None) -> Iterator[None]:
    """What can go wrong with the hub, each in a line."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise UserError(f"{repo!r}: expected a name on the hub, user/name. Next: toolkit.load takes folders") from error
    except errors.GatedRepoError as error:
        raise UserError(f"{repo} on the hub asks who you are. Next: ask for access on its page, then hf auth login") from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{repo} on the hub has no revision {revision!r}. Next: see its page for branches and tags") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(f"the hub has no {repo} that you may see. Next: see if the name is right, or hf auth login") from error
    except errors.HfHubHTTPError as error:
        raise UserError(f"{repo}: the hub answered {_answer(error)}. {_next(error)}") from error
    except (errors.HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.filename and files.advice(error):  # a full disk, a folder of somebody else's
            raise
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise UserError(
            f"{repo}: the hub cannot be reached ({reason}). Next: see to the network, and run this again"
        ) from error


def _answer(error: Any) -> str:
    """`403 Forbidden`."""
    return f"{error.response.status_code} {error.response.reason_phrase}"


def _next(error: Any) -> str:
    refused = error.response.status_code in (401, 403)
    return "Next: hf auth login, with a token that may write there" if refused else "Next: run this again later"
