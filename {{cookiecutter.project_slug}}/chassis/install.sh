#!/bin/sh
# Install packages into .venv. `make setup` calls it in the project's folder:
#
#   sh chassis/install.sh groups build base serve    the pinned packages of these files in requirements/
#   sh chassis/install.sh project                    the project and its chassis, as they lie here
#
# uv installs, several times as fast as pip: the one on PATH, or else the one pinned in requirements/bootstrap.txt.
# Where uv cannot be had or fails (an index that only pip was told of), pip installs the rest. INSTALLER=uv and
# INSTALLER=pip allow that one alone.
set -eu

PYTHON=.venv/bin/python
INSTALLER=${INSTALLER:-}
uv=

# Use the uv on PATH, if there is one that runs.
find_uv() {
    if test "$INSTALLER" != pip && uv --version >/dev/null 2>&1; then
        uv=uv
    fi
}

# Put the pinned uv into .venv, unless there is one already.
bootstrap_uv() {
    find_uv
    if test -n "$uv" || test "$INSTALLER" = pip; then
        return
    fi
    printf 'setup: uv, pinned ... '
    started=$(date +%s)
    if output=$(pip_install --require-hashes --no-deps -r requirements/bootstrap.txt 2>&1); then
        uv=.venv/bin/uv
        echo "$(($(date +%s) - started)) s"
    elif test "$INSTALLER" = uv; then
        give_up "$output"
    else
        echo 'not to be had; pip installs, which takes longer'
    fi
}

uv_install() {
    "$uv" pip install --quiet --python "$PYTHON" "$@"
}

pip_install() {
    # An environment that uv made has no pip.
    "$PYTHON" -m pip --version >/dev/null 2>&1 || "$PYTHON" -m ensurepip >/dev/null
    "$PYTHON" -m pip install --quiet "$@"
}

# Install with uv, and with pip for the rest of this run where uv fails.
install() {
    if test -n "$uv"; then
        if output=$(uv_install "$@" 2>&1); then
            return
        fi
        test "$INSTALLER" != uv || give_up "$output"
        printf 'uv fails, pip installs ... '
        uv=
    fi
    pip_output=$(pip_install "$@" 2>&1) || give_up "${output:-}
$pip_output"
}

give_up() {
    echo failed
    printf '%s\n' "$1" >&2
    echo 'error: the packages were not installed, for the reason above; make sure that the package index can be reached and run make setup again' >&2
    exit 1
}

install_groups() {
    bootstrap_uv
    for group; do
        file=requirements/$group.txt
        printf 'setup: group %s, %s packages ... ' "$group" "$(grep -c == "$file")"
        started=$(date +%s)
        # Source packages are built with the group `build`, never with what an index offers today.
        install --require-hashes --no-deps --no-build-isolation -r "$file"
        echo "$(($(date +%s) - started)) s"
    done
}

install_project() {
    find_uv
    printf 'setup: the project and its chassis ... '
    install --no-deps --no-build-isolation --editable ./chassis --editable .
    echo done
}

task=$1
shift
"install_$task" "$@"
