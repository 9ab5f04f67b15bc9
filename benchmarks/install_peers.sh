#!/usr/bin/env bash
# Installs what `make bench` compares softcopy with, where it is missing: install_peers.sh FOLDER.
#
# What cannot be had is said here, and skipped by the benchmarks. The older `softcopy` of PyPI has the same command
# name and needs other versions of zarr and numpy: it gets an environment of its own, in FOLDER.
set -u

folder=$1
OLD=softcopy==0.0.13

say() { echo "peers: $*"; }

missing=()
for pair in rsync:rsync rclone:rclone fpsync:fpart lsyncd:lsyncd gcc:gcc Xvfb:xvfb; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
    root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo -n)
    say "installing ${missing[*]} with apt-get"
    for package in "${missing[@]}"; do # one by one: one that does not exist must not keep the others away
        ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends "$package" >/dev/null 2>&1 </dev/null && continue
        ${root[@]+"${root[@]}"} apt-get update >/dev/null 2>&1
        ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends "$package" >/dev/null 2>&1 </dev/null ||
            say "$package cannot be installed: what needs it is skipped"
    done
fi

if ! "$folder/bin/softcopy" --help >/dev/null 2>&1; then
    say "installing $OLD into $folder"
    rm -rf "$folder"
    if ! { "${PYTHON:-python3}" -m venv "$folder" &&
        "$folder/bin/python" -m pip install -q --disable-pip-version-check "$OLD"; } >/dev/null 2>&1; then
        say "$OLD cannot be installed: it is skipped"
        rm -rf "$folder"
    fi
fi
exit 0
