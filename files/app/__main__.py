"""The image's entry point: ``writer`` or ``reader``, their arguments, and the one line of an error."""

import sys
from collections.abc import Sequence

import database

USAGE = (
    "uso: writer [--result] [--database=ARQUIVO] (--csv=ARQUIVO | NOME...)"
    " ou reader [--result] [--json] [--database=ARQUIVO] [--limit=N]"
)
OPTIONS = {"writer": ("--result", "--database=", "--csv="), "reader": ("--result", "--json", "--database=", "--limit=")}


def main(arguments: Sequence[str]) -> None:
    """Run the command that ``arguments`` ask for.

    Raises:
        database.Failure: it did not work; the code says why.
    """
    # By hand: argparse takes 300 kB of the image compiled, and 80 ms of each start where it is not.
    command, *rest = arguments or [""]
    given: dict[str, str] = {}
    while rest and rest[0].startswith("--"):
        option = rest.pop(0)
        if option == "--":
            break
        name, equals, value = option.partition("=")
        number = value.isdecimal() and len(value) < 12
        if name + equals not in OPTIONS.get(command, ()) or (name == "--limit" and not number):
            raise database.Failure("USO", f"opção desconhecida {option!a}; {USAGE}")
        given[name] = value
    path, csv_path, result = given.get("--database", database.DEFAULT_PATH), given.get("--csv"), "--result" in given
    if command == "writer" and not (csv_path and rest):
        import writer

        if csv_path:
            import names

            writer.run(path, lambda: names.read_csv(csv_path), "linha", result=result)
        else:
            writer.run(path, lambda: enumerate(rest, start=1), "nome", result=result)
    elif command == "reader" and not rest:
        import reader

        limit = int(given["--limit"]) if "--limit" in given else None
        reader.run(path, limit=limit, as_json="--json" in given, result=result)
    else:
        raise database.Failure("USO", f"não entendi {' '.join(arguments)[:80]!a}; {USAGE}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except database.Failure as failure:
        sys.stdout.flush()
        print(database.one_line(f"ERRO [{failure.code}]: {failure}"), file=sys.stderr)
        sys.exit(database.STATUS[failure.code])
