"""Keep compiled, in the image, what the writer and the reader import of the standard library.

Run while the image is built: a read-only container cannot keep what it compiles, and to compile anew trebles the start.
Python looks first into an archive that is not there by default: https://docs.python.org/3/library/sys.html#sys.path.
In it, deflated and without docstrings, code takes a third of the room. Of a package that is used in part the archive
would hide the rest, so that such modules are compiled beside their sources; one of them is not worth its room.
"""

import os
import sys

LARGE = "encodings/aliases.py"  # 12 kB of 100, for 2 ms of 30


def main() -> None:
    """Import both programs, and compile each module that this has loaded from the standard library's sources."""
    import reader  # noqa: F401
    import writer  # noqa: F401

    library = os.path.dirname(os.__file__)
    # Only what Python would look for a compiled form of: it has some modules built in, whatever file they name.
    files = [module.__file__ or "" for module in sys.modules.values() if getattr(module, "__cached__", None)]
    sources = {file for file in files if file.startswith(library)}

    # Imported late: what these two import in turn is not for the archive.
    import py_compile
    import zipfile

    archive = next(path for path in sys.path if path.endswith(".zip"))
    module = f"{archive}.pyc"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for source in sorted(sources):
            folder = os.path.dirname(source)
            package = {f"{folder}/{file}" for file in os.listdir(folder) if file.endswith(".py")}
            if folder == library or package <= sources:
                py_compile.compile(source, module, doraise=True, optimize=2)
                packed.write(module, f"{os.path.relpath(source, library)}c")
            elif not source.endswith(LARGE):
                py_compile.compile(source, doraise=True)
    os.remove(module)


if __name__ == "__main__":
    main()
