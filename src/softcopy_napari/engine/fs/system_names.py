"""Names of files and folders that operating systems, file servers and desktops create on their own.

They come and go in any folder of a share. At a destination they are left alone; at a source they are copied where they
can be read, and ignored where they cannot.
"""

from __future__ import annotations

_NAMES = frozenset(
    {
        # Synology and QNAP
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", ".@__thumb", ".@upload_cache"),
        *("@tmp", ".synologyworkingdirectory"),
        # snapshots of file servers: NetApp, ZFS, Ceph, btrfs
        *(".snapshot", ".snapshots", "~snapshot", ".zfs", ".snap"),
        # Linux
        *("lost+found", ".directory"),
        # Windows
        *("system volume information", "$recycle.bin", "recycler", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        # macOS, and servers for it
        *(".ds_store", ".spotlight-v100", ".fseventsd", ".temporaryitems", ".documentrevisions-v100", ".apdisk"),
        *(".appledouble", ".appledb", ".appledesktop", "network trash folder", "temporary items"),
    }
)
_BEGINNINGS = ("._", ".trash", ".nfs", ".fuse_hidden", ".smbdelete", ".afpdeleted")
_ENDINGS = ("@synoeastream", "@synoresource")


def system_name(name: str) -> str:
    """Return the name or pattern by which a file or folder is known to be made by a system.

    Returns
    -------
    str
        The name itself, or a pattern such as `._*`; empty for all other files.
    """
    plain = name.rstrip("/").lower()
    if plain in _NAMES:
        return name
    for beginning in _BEGINNINGS:
        if plain.startswith(beginning):
            return f"{beginning}*"
    return next((f"*{ending}" for ending in _ENDINGS if plain.endswith(ending)), "")


def lies_in_system_folder(path: str) -> bool:
    """Whether a `/` separated path is, or lies in, something that a system made."""
    return any(map(system_name, path.rstrip("/").split("/")))
