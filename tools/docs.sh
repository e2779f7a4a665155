#!/usr/bin/env bash
# Build the documentation into build/docs; it opens from disk: build/docs/index.html.
#   tools/docs.sh            build; a dead link or any other warning is an error
#   tools/docs.sh --serve    show it at http://127.0.0.1:8000 and build again whenever a file changes
set -e
cd "$(dirname "$0")/.."
case ${1-} in
  '') words=(build --strict) ;;
  --serve) words=(serve --watch docs --watch toolkit --watch egs) ;;
  *) echo "docs.sh: no option $1 (it has --serve)" >&2; exit 2 ;;
esac
tools/install.sh --quiet
.venv/bin/python -c 'import material, mkdocstrings_handlers.python' 2>/dev/null ||
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint tools/constraints.txt --editable '.[docs]' >&2
export NO_MKDOCS_2_WARNING=1
exec .venv/bin/mkdocs "${words[@]}" -f docs/mkdocs.yml
