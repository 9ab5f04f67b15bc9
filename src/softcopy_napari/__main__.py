"""`python -m softcopy_napari` is the `softcopy` command."""

from softcopy_napari.cli import main

if __name__ == "__main__":
    main()
