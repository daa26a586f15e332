#!/bin/sh
# install.sh PYTHON VENV [GROUP...]: a virtual environment with the project, all its extras, and
# these dependency groups of pyproject.toml.
set -eu
python=$1 venv=$2
shift 2
for group in "$@"; do
    set -- "$@" --group "$group"
    shift
done

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    for newer in python3.14 python3.13 python3.12 python3.11; do
        if command -v "$newer" >/dev/null 2>&1; then python=$newer; break; fi
    done
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "clusterkit needs Python 3.11 or newer; '$python' is not. Run: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi

if command -v uv >/dev/null 2>&1; then
    echo "installing into $venv with uv (once)"
    [ -x "$venv/bin/python" ] || uv venv -q --python "$python" --no-python-downloads "$venv"
    uv pip install -q --python "$venv/bin/python" -c constraints.txt -e ".[aks,alibaba,eks,gke,operator,sandbox]" "$@"
    exit 0
fi

echo "installing into $venv with pip (once; it takes a minute or more)"
if ! [ -x "$venv/bin/pip" ] && ! "$python" -m venv "$venv" 2>/dev/null; then
    # Debian and Ubuntu ship Python without ensurepip
    echo "this Python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2
    rm -rf "$venv"
    exit 1
fi
"$venv/bin/pip" install -q --disable-pip-version-check "pip>=25.1"  # the first with --group
"$venv/bin/pip" install -q --disable-pip-version-check \
    -c constraints.txt -e ".[aks,alibaba,eks,gke,operator,sandbox]" "$@"
