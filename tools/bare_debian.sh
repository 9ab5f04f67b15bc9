#!/usr/bin/env bash
# Does a fresh clone of HEAD work on a bare Debian 12 (Python 3.11, git, make, nothing else)?
#
#   sudo tools/bare_debian.sh [--sudo] [FOLDER [COMMAND...]]
#
#   --sudo    as a user with sudo, not as root
#   FOLDER    where the Debian is made  [/tmp/bare-debian]; FOLDER/base.tar is kept for the next run
#   COMMAND   what to run in the clone  ["make demo" "make test"]
#
# Needs root, for debootstrap and chroot. Mounts and processes live in namespaces of their own: they are gone
# when this script ends, however it ends.
set -eu

commands_default=("make demo" "make test")
packages=ca-certificates,git,make,python3

fail() { echo "bare_debian: $*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "must run as root."
if [ "${BARE_DEBIAN_INSIDE:-}" != yes ]; then
    BARE_DEBIAN_INSIDE=yes exec unshare --mount --pid --fork --kill-child --mount-proc bash "$0" "$@"
fi

user=root
if [ "${1:-}" = --sudo ]; then
    user=tester
    shift
fi
folder=$(realpath -m "${1:-/tmp/bare-debian}")
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- "${commands_default[@]}"
repository=$(realpath "$(dirname "$0")/..")
root=$folder/root
home=/root
[ $user = root ] || home=/home/$user

mkdir -p "$folder"
exec 9>"$folder/lock"
flock --nonblock 9 || fail "$folder is in use by another run."

# Inside, only what any user has is set, and what this machine needs to reach the network.
inside() {
    local name network=()
    for name in $(compgen -e | grep -E \
        '^(PIP_(CERT|INDEX_URL|PROXY|TRUSTED_HOST|DEFAULT_TIMEOUT|RETRIES)|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(https?|ftp|all|no)_proxy|(HTTPS?|FTP|ALL|NO)_PROXY)$'); do
        network+=("$name=${!name}")
    done
    env -i HOME="$1" USER="$2" LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${network[@]+"${network[@]}"} chroot --userspec="$2" "$root" bash -c "$3" </dev/null 9>&-
}

unpack_base() {
    if [ ! -e "$folder/base.tar" ]; then
        echo "== making the base with debootstrap"
        command -v debootstrap >/dev/null || { apt-get update && apt-get install --yes debootstrap; } >"$folder/apt.log" 2>&1 ||
            fail "cannot install debootstrap: see $folder/apt.log"
        rm -rf "$root"
        debootstrap --variant=minbase --include=$packages bookworm "$root" >"$folder/debootstrap.log" 2>&1 ||
            fail "debootstrap failed: see $folder/debootstrap.log"
        rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
        tar -C "$root" -cf "$folder/base.part" . && mv "$folder/base.part" "$folder/base.tar"
    fi
    rm -rf "$root"
    mkdir -p "$root"
    tar -C "$root" -xpf "$folder/base.tar"
}

# The network as on this machine: names, certificates, what apt and pip are told.
configure() {
    cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
    rm -rf "$root/etc/ssl/certs" # its links would lead out of the chroot while copying into it
    cp -r --dereference /etc/ssl/certs "$root/etc/ssl/"
    if [ -e /etc/pip.conf ]; then cp --dereference /etc/pip.conf "$root/etc/"; fi
    if grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release && [ -e /etc/apt/sources.list.d/debian.sources ]; then
        cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
        : >"$root/etc/apt/sources.list"
    fi
    apt-config dump Acquire 2>/dev/null >"$root/etc/apt/apt.conf.d/99this-machine" || true
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts"
}

trap 'umount -R "$root/proc" "$root/sys" "$root/dev/shm" "$root/dev/pts" 2>/dev/null || true' EXIT
unpack_base
configure

git -c safe.directory="$repository" -C "$repository" bundle create --quiet "$root/clone.bundle" HEAD
if [ $user != root ]; then
    inside /root root "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends sudo &&
        useradd --create-home --shell /bin/bash $user && echo '$user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/$user" \
        >"$folder/sudo.log" 2>&1 || fail "cannot make the user: see $folder/sudo.log"
fi
inside "$home" "$user" "cd && git -c advice.detachedHead=false clone --quiet /clone.bundle clone"
echo "== $(cat "$root/etc/debian_version"), $(inside "$home" "$user" "python3 --version"), as $user," \
    "commit $(inside "$home" "$user" "git -C ~/clone rev-parse --short HEAD")"

for command; do
    echo "== $command"
    SECONDS=0
    status=0
    inside "$home" "$user" "cd ~/clone && $command" || status=$?
    echo "== $command: exit code $status after $SECONDS s"
    [ $status -eq 0 ] || exit $status
done
