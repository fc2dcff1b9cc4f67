"""Rename a file of this machine so that after a power cut it is whole under one of the two names."""

import os
import sys


def rename(old: str, new: str, *others: str) -> None:
    """Give the file ``old`` the name ``new`` in the same folder, when it and the ``others`` there are on the disk.

    Raises:
        OSError: it has its old name still.
    """
    for path in (old, *others, os.path.dirname(new)):
        synchronize(path)
    os.replace(old, new)
    synchronize(os.path.dirname(new))


def synchronize(path: str) -> None:
    """Wait until a file, or the list of names that a folder is, is on the disk."""
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


if __name__ == "__main__":
    rename(*sys.argv[1:])
