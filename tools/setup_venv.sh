#!/usr/bin/env bash
# Makes the checkout's virtual environment: setup_venv.sh FOLDER EXTRAS. Called by the Makefile.
#
# A bare Debian has a Python that cannot make virtual environments; what is missing is then installed with
# apt-get. Where an environment can be made already, nothing outside FOLDER is touched.
set -eu

venv=$1
extras=$2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# Full paths of the Pythons that are new enough. A shim (pyenv) is resolved to what it stands for, because
# one that points elsewhere tomorrow breaks the environment.
pythons() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        "$name" -c 'import sys; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null || true
    done | awk '!seen[$0]++'
}

# An environment that was moved still runs, but its commands and its pip are those of the old place.
usable() {
    [ "$(cat "$venv/ready" 2>/dev/null)" = "$(pwd -P)" ] && has_pip
}

has_pip() {
    "$venv/bin/python" -m pip --version >>"$log" 2>&1
}

make_venv() {
    local python
    while read -r python; do
        rm -rf "$venv"
        if "$python" -m venv "$venv" >>"$log" 2>&1 && has_pip; then
            say "$venv made with $python"
            return 0
        fi
    done < <(pythons)
    rm -rf "$venv"
    return 1
}

apt_install() {
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "$* must be installed with apt-get: run this as root, or install sudo."
        root=(sudo)
    fi
    say "installing $* with apt-get"
    if ! { ${root[@]+"${root[@]}"} apt-get update &&
        ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends "$@"; } >>"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        fail "apt-get could not install $*: see above."
    fi
}

# Debian packages its Python without what makes environments.
missing_packages() {
    local python
    python=$(pythons | grep -m 1 '^/usr/bin/' || true)
    if [ -z "$(pythons)" ]; then
        echo python3 python3-venv
    elif [ -n "$python" ] && ! "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])'
    fi
}

if ! usable && ! make_venv; then
    packages=$(missing_packages)
    if [ -n "$packages" ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086
        apt_install $packages
    fi
    make_venv || {
        cat "$log" >&2
        fail "needs Python 3.11 or newer that can make environments (python3 -m venv); found: $(pythons | tr '\n' ' ')"
    }
fi

say "installing softcopy-napari[$extras] into $venv (a minute or two the first time)"
"$venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check --editable ".[$extras]"
pwd -P >"$venv/ready"
