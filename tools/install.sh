#!/bin/sh
# Makes .venv and installs one of the locks into it, with hashes, and the project itself, editable.
# Usage: tools/install.sh demo|dev|docs. Done already, it returns at once; it starts over when a lock, pyproject.toml
# or the Python changed. $VENV names another folder than .venv.
set -eu

lock=$1
venv=${VENV:-.venv}
python="$venv/bin/python"
case $lock in
    demo) locks='build demo' ;;
    dev) locks='build dev' ;;
    docs) locks='docs'; sh tools/install.sh dev ;;
    *) echo "usage: tools/install.sh demo|dev|docs" >&2; exit 2 ;;
esac

# The stamp holds a checksum of all that decides what is installed.
wanted=$(for name in $locks; do cat "requirements/$name.txt"; done | cat - pyproject.toml tools/install.sh | cksum)
stamp="$venv/.installed-$lock"
# What dev installs contains what demo needs.
for done_before in "$stamp" "$venv/.installed-$lock-by-more"; do
    if [ -x "$python" ] && [ "$(cat "$done_before" 2>/dev/null)" = "$wanted" ] && "$python" -c '' 2>/dev/null; then
        exit 0
    fi
done

if ! { [ -x "$python" ] && "$python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; then
    base=$(sh tools/find-python.sh)
    echo "making $venv with $("$base" --version)" >&2
    "$base" -m venv --clear "$venv"
fi

echo "installing into $venv: requirements/$lock.txt, every file checked against its hash" >&2
pip() {
    "$python" -m pip --quiet --disable-pip-version-check --no-input "$@"
}
for name in $locks; do
    # Wheels only, so that an install neither compiles nor runs foreign code; forbiddenfruit has none and is pure Python.
    pip install --require-hashes --no-deps --no-build-isolation --only-binary :all: --no-binary forbiddenfruit \
        --requirement "requirements/$name.txt"
done
[ "$lock" = docs ] || pip install --no-deps --no-build-isolation --editable .
echo "$wanted" >"$stamp"
if [ "$lock" = dev ]; then
    cat requirements/build.txt requirements/demo.txt pyproject.toml tools/install.sh | cksum >"$venv/.installed-demo-by-more"
fi
