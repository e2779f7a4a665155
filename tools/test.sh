#!/usr/bin/env bash
# Run the tests: style, types, then pytest.  Arguments go to pytest, e.g.  tools/test.sh -m "not recipe"
set -e
cd "$(dirname "$0")/.."
tools/install.sh --dev --quiet
PATH=$PWD/.venv/bin:$PATH
ruff check
ruff format --check
mypy
if ! timeout 10 sinfo >/dev/null 2>&1 && settings=$(timeout 60 tools/slurm_local.sh start); then
  eval "$settings" # a Slurm of this machine's own, for the tests marked `slurm`
  trap 'tools/slurm_local.sh stop' EXIT
fi
OMP_NUM_THREADS=1 pytest -n auto --dist worksteal "$@"
