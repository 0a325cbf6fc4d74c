#!/usr/bin/env bash
# Makes a fresh Debian or Ubuntu ready: system packages only where a command is missing, everything of Python's into
# .venv. Called by make; safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

# Progress goes to stderr, as everywhere in this project.
say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "error: this needs root, and there is no sudo: $*"
        exit 1
    fi
}

# python_new_enough PROGRAM
python_new_enough() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if python_new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
}

missing_packages() {
    local python=$1 wanted=()
    command -v bwrap >/dev/null || wanted+=(bubblewrap)
    command -v cc >/dev/null || wanted+=(gcc)
    # The warden is linked statically: the compiler alone does not bring libc.a.
    cc -print-file-name=libc.a 2>/dev/null | grep -q / || wanted+=(libc6-dev)
    command -v make >/dev/null || wanted+=(make)
    command -v git >/dev/null || wanted+=(git)
    command -v node >/dev/null || wanted+=(nodejs)
    command -v npm >/dev/null || wanted+=(npm)
    # For the packages under test that compile something.
    command -v g++ >/dev/null || wanted+=(g++)
    command -v curl >/dev/null || wanted+=(curl)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || wanted+=(ca-certificates)
    if [ -z "$python" ]; then
        wanted+=(python3 python3-venv)
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        wanted+=(python3-venv)
    fi
    printf '%s\n' "${wanted[@]}"
}

install_packages() {
    if ! command -v apt-get >/dev/null; then
        say "error: these are missing, and this is no Debian or Ubuntu: install them by your system's own means: $*"
        exit 1
    fi
    say "installing: $*"
    # A fresh machine has no package lists, or old ones: fetch them only where they do not serve.
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2; then
        as_root apt-get update -q >&2
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
    fi
}

make_environment() {
    local python=$1
    if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
    then
        say "making .venv with $python"
        rm -rf .venv
        "$python" -m venv .venv
    fi
    # --group came with pip 25.1; the distributions' pip is older.
    if ! .venv/bin/python -m pip install --help | grep -q -- --group; then
        say "updating pip in .venv"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    fi
    say "building baitbox and installing what it needs into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
    # Once, here: where PYTHONDONTWRITEBYTECODE is set, every start would compile it anew.
    .venv/bin/python -m compileall -q sandbox
}

main() {
    local python packages
    python=$(find_python)
    mapfile -t packages < <(missing_packages "$python" | sed '/^$/d')
    if [ "${#packages[@]}" -gt 0 ]; then
        install_packages "${packages[@]}"
        hash -r
        python=$(find_python)
    fi
    if [ -z "$python" ]; then
        say "error: no Python 3.11 or later was found, and the distribution's is older"
        exit 1
    fi
    make_environment "$python"
}

main "$@"
