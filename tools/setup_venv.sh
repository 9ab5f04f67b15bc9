#!/usr/bin/env bash
# Makes the checkout's virtual environment: setup_venv.sh FOLDER. Called by the Makefile.
#
# A bare Debian has a Python that cannot make virtual environments, and lacks what windows need: what is missing is
# then installed with apt-get. Where all is there already, nothing outside FOLDER is touched.
set -eu

venv=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# What Qt and napari load from the system, and a screen for machines that have none.
screen_packages="xvfb xauth libgl1 libglx-mesa0 libgl1-mesa-dri libegl1 libopengl0 libglib2.0-0 libdbus-1-3 libfontconfig1
    libxrender1 libxi6 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0
    libxcb-render-util0 libxcb-shape0 libxcb-xfixes0 libxcb-xinerama0 libxcb-xinput0 fonts-dejavu-core"

# For tests: xxhsum checks what this program writes; with the others, disks fail on purpose, and it is seen what a process
# asks of the system.
test_packages="xxhash fuse3 mount strace"

# A compiler builds the C library of the copy workers; without one they are slower.
build_packages="gcc libc6-dev"

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

# Says so where it cannot: what that means shows later.
apt_install() {
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            say "$* must be installed with apt-get: run this as root, or install sudo."
            return 0
        }
        root=(sudo)
    fi
    say "installing $* with apt-get"
    if ! { ${root[@]+"${root[@]}"} apt-get update &&
        ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends "$@"; } >>"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        say "apt-get could not install $*: see above."
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

# Of these packages, those that are not installed; a newer release has some under a longer name.
missing_system_packages() {
    local package
    for package in $screen_packages $test_packages $build_packages; do
        dpkg-query --show --showformat '${db:Status-Status}\n' "$package" "${package}t64" 2>/dev/null | grep -qx installed ||
            echo "$package"
    done
}

# Asks Qt itself, once it is there: what is missing on a system without apt-get has other names on each.
check_screen() {
    local problem
    [ "$(uname)" = Linux ] || return 0
    if ! problem=$(QT_QPA_PLATFORM=offscreen "$venv/bin/python" -c \
        'from PyQt6 import QtGui, QtOpenGL, QtWidgets; QtWidgets.QApplication([])' 2>&1); then
        say "Qt cannot be loaded, so napari cannot be shown: $(tail -n 1 <<<"$problem")"
    elif ! command -v Xvfb >/dev/null; then
        say "Xvfb is not installed: without it, tests with windows cannot run."
    fi
}

packages=
usable || make_venv || packages=$(missing_packages)
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    packages="$packages $(missing_system_packages)"
    # shellcheck disable=SC2086
    [ -z "${packages// /}" ] || apt_install $packages
fi
has_pip || make_venv || {
    cat "$log" >&2
    fail "needs Python 3.11 or newer that can make environments (python3 -m venv); found: $(pythons | tr '\n' ' ')"
}

# Dependency groups need a newer pip than an older Python brings.
pip=("$venv/bin/python" -m pip --disable-pip-version-check install -qq --no-input)
"${pip[@]}" 'pip>=25.1'
say "installing softcopy-napari into $venv (a minute or two the first time)"
"${pip[@]}" --no-compile --editable . --group dev
check_screen
pwd -P >"$venv/ready"
