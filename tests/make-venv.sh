#!/bin/sh
# Make .venv; Debian keeps venv in a package of its own, so get that where we may.
set -eu
python=${1:?which python}
[ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && exit 0
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "Purescan needs Python 3.11, 3.12 or 3.13; $python is another. Try: make PYTHON=/path/to/python3.11" >&2
    exit 1
}
rm -rf .venv
"$python" -m venv .venv 2>/dev/null && exit 0
rm -rf .venv
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv
    exec "$python" -m venv .venv
fi
echo "Python can't make virtual environments here. On Debian: apt-get install python3-venv" >&2
exit 1
