#!/bin/sh
# Make .venv with the Python that is named, else with the first one here that fits: CI runs 3.11, the fast tests were run
# with 3.12 and 3.13 as well. Debian keeps venv in a package of its own, so get that where we may.
set -eu
[ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && exit 0

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# A name that is found may still not run, as pyenv's do for the versions that aren't switched on.
first() {
    for name in python3.11 python3.12 python3.13 python3; do
        if fits "$name"; then
            echo "$name"
            return
        fi
    done
    echo "Purescan needs Python 3.11, 3.12 or 3.13, and none is found here; name one: make run PYTHON=/path/to/python3.13" >&2
    return 1
}

python=${1:-$(first)}
fits "$python" || {
    echo "Purescan needs Python 3.11, 3.12 or 3.13, and $python is none of these" >&2
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
