#!/bin/sh
# Make a virtual environment with the pinned versions: dev/tools/install.sh FOLDER CONSTRAINTS REQUIREMENT
# PYTHON names the interpreter; default python3.
set -u
folder=$1 constraints=$2 requirement=$3
python=${PYTHON:-python3}

fail() {
    echo "$1" >&2
    exit 1
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed; '$python' is not. Name another with: make PYTHON=python3.11 …"

if [ ! -x "$folder/bin/uv" ]; then
    echo "Setting up $folder (once; a minute or two where the packages must be downloaded first) …"
    "$python" -m venv "$folder" || fail "Could not make a virtual environment in $folder: is the venv module of Python installed (on Debian: python3-venv)?"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check uv ||
        fail "Could not install uv into $folder: is the package index reachable from here?"
fi
# Compiled once here and not by each of the many Airflow processes, which takes them longer than all the rest.
"$folder/bin/uv" pip install --quiet --compile-bytecode --python "$folder/bin/python" --constraint "$constraints" --editable "$requirement" ||
    fail "Could not install the packages into $folder: is the package index reachable from here?"
touch "$folder/.ready"
