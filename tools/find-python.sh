#!/bin/sh
# Prints the first Python >= 3.11 that can make a virtual environment; $PYTHON, when set, is the only candidate.
# A name on PATH is not enough: version managers leave names behind that do not run.
set -eu

fit='import sys; sys.exit(0 if sys.version_info >= (3, 11) else 3)'
usable='import ensurepip, venv'
without_venv=''

for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c "$fit" >/dev/null 2>&1 || continue
    if "$candidate" -c "$usable" >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
    without_venv="$candidate"
done

if [ -n "$without_venv" ]; then
    echo "$without_venv cannot make virtual environments: install its venv package (Debian: apt-get install python3-venv) and run this again." >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "PYTHON=$PYTHON is not a Python 3.11 or newer: name one that is, or leave PYTHON unset." >&2
else
    echo "No Python 3.11 or newer was found: install one (Debian: apt-get install python3 python3-venv), or name it with PYTHON=/path/to/python3." >&2
fi
exit 1
