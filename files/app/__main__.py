"""The image's entry point: ``writer`` or ``reader``, their arguments, and the one line of an error."""

import sys
from collections.abc import Sequence

import database

USAGE = (
    "uso: writer [--result] [--database=ARQUIVO] (--csv=ARQUIVO | NOME...)"
    " ou reader [--result] [--json] [--database=ARQUIVO] [--limit=N]"
)


def main(arguments: Sequence[str]) -> None:
    """Run the command that ``arguments`` ask for.

    Raises:
        database.Failure: it did not work; the code says why.
    """
    # By hand: argparse takes 300 kB of the image compiled, and 80 ms of each start where it is not.
    command, *rest = arguments or [""]
    path, result, as_json, csv_path, limit = database.DEFAULT_PATH, False, False, "", None
    while rest and rest[0].startswith("--"):
        option = rest.pop(0)
        if option == "--":
            break
        if option == "--result":
            result = True
        elif option == "--json" and command == "reader":
            as_json = True
        elif option.startswith("--database="):
            path = option.removeprefix("--database=")
        elif option.startswith("--csv=") and command == "writer":
            csv_path = option.removeprefix("--csv=")
        elif option.startswith("--limit=") and command == "reader" and option[8:].isdecimal() and len(option) < 20:
            limit = int(option.removeprefix("--limit="))
        else:
            raise database.Failure("USO", f"opção desconhecida {option!a}; {USAGE}")
    if command == "writer" and not (csv_path and rest):
        import writer

        if csv_path:
            import names

            writer.run(path, lambda: names.read_csv(csv_path), "linha", result=result)
        else:
            writer.run(path, lambda: enumerate(rest, start=1), "nome", result=result)
    elif command == "reader" and not rest:
        import reader

        reader.run(path, limit=limit, as_json=as_json, result=result)
    else:
        raise database.Failure("USO", f"não entendi {' '.join(arguments)[:80]!a}; {USAGE}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except database.Failure as failure:
        failure.end()
