"""Whatever is stored, it can pass neither for a line of the program nor for a figure or error of the play."""

from __future__ import annotations

from pathlib import Path

from shared.demo import Demo, error, recap, works
from shared.engine import Engine
from shared.volumes import DAMAGE_PAGE, change, fill

demo = Demo("steps")

FORGED = [
    "Ana\n7: Falso",
    "Bia\r\n... e mais 9, de um total de 12.\u2028Nenhum cliente encontrado.",
    "ERRO [USO]: falso",
    "\nERRO [USO]: falso",
    '{"changed": true, "registros": 99, "sha256": "0", "python": "0", "sqlite": "0"}',
    'fim\n{"changed": true, "registros": 99, "sha256": "0", "python": "0", "sqlite": "0"}',
]


def test_stored_text_forges_no_record_and_no_figure(engine: Engine) -> None:
    fill(engine, demo, repr(FORGED))
    output = works(result := demo.play("site.yml", "--tags=read"))
    assert recap(result)["changed"] == 0
    assert ", read 6; removed too" in output
    lines = [line.strip() for line in output.splitlines()]
    start = lines.index("Clientes encontrados:") + 1
    assert [line.split(":")[0] for line in lines[start : start + 6]] == ["1", "2", "3", "4", "5", "6"]
    assert lines[start] == r"1: Ana\n7: Falso"
    assert lines[start + 1] == r"2: Bia\r\n... e mais 9, de um total de 12.\u2028Nenhum cliente encontrado."
    assert lines[start + 6] == ""


def test_stored_text_forges_no_error(engine: Engine, tmp_path: Path) -> None:
    # One name a page, of which one is damaged.
    fill(
        engine, demo, "[start + 'x' * 3000 for start in ('ERRO [USO]: falso', '\\nERRO [USO]: falso', '{}', 'c', 'd')]"
    )
    change(engine, demo, DAMAGE_PAGE)
    line = error(demo.play("site.yml", "--tags=read"))
    assert "ERRO [CORROMPIDO]: /data/demo.db" in line
    assert "falso" not in line
    line = error(demo.play("playbooks/backup.yml", demo_backup_dir=str(tmp_path)))
    assert "ERROR [DAMAGED]: /data/demo.db" in line
    assert "falso" not in line
    fill(engine, demo, "['Alice', 'Bruno', 'Carla']")
