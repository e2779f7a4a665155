#!/usr/bin/env bash
# Make .venv in the repository and install Reprise with the versions its results were made with.
#   tools/install.sh            what the recipes need
#   tools/install.sh --dev      and what the tests need (reference packages too)
# Nothing is done where it was done before.  $PYTHON names the interpreter to use (3.10 or newer; default: python3).
set -e
cd "$(dirname "$0")/.."
extras='' quiet=''
for option in "$@"; do
  case $option in
    --dev) extras='[dev,reference]' ;;
    --quiet) quiet=yes ;;
    *) echo "install.sh: no option $option (it has --dev and --quiet)" >&2; exit 2 ;;
  esac
done

wanted=$(cat setup.py tools/constraints.txt | cksum)
stamp=.venv/.installed$extras
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  [ -n "$quiet" ] || echo ".venv is complete"
  exit 0
fi

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || {
  echo "install.sh: expected Python 3.10 or newer as '$python', found: $("$python" --version 2>&1 || true). Next: PYTHON=/path/to/python3 $0" >&2
  exit 2
}
echo "installing into $(pwd)/.venv (torch is large: some minutes) ..." >&2
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint tools/constraints.txt --editable ".$extras" >&2
printf %s "$wanted" > "$stamp"
[ -z "$extras" ] || printf %s "$wanted" > .venv/.installed
echo "installed" >&2
