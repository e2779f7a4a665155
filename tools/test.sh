#!/usr/bin/env bash
# Run the tests: style, types, then pytest.  Arguments go to pytest, e.g.  tools/test.sh -m "not recipe"
set -e
cd "$(dirname "$0")/.."
tools/install.sh --dev --quiet
PATH=$PWD/.venv/bin:$PATH
ruff check
ruff format --check
mypy
OMP_NUM_THREADS=1 exec pytest -n auto --dist worksteal "$@"
