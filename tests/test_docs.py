"""The two languages of the README are in step, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ENGLISH, PORTUGUESE = (REPOSITORY / name for name in ("README.md", "README.pt-BR.md"))
PAGES = [
    page for pattern in ("*.md", "docs/*.md", "examples/*.md", "roles/*/README.md") for page in REPOSITORY.glob(pattern)
]


# What Ansible says itself.
NOT_OURS = "Make sure this host can be reached over ssh"


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language, without the comments of shell commands."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(r" +# .*", "", block) for block in found]


def prose(page: Path) -> str:
    """Return what is not in a block."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("language", ["sh", "text"])
def test_both_languages_show_the_same_commands_and_output(language: str) -> None:
    assert blocks(ENGLISH, language) == blocks(PORTUGUESE, language) != []


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"^(#+) ", id="headings"),
        pytest.param(r"^(?:(\|)|(- ))", id="rows and points"),
        pytest.param(r"^\| (`[^|]+`) \|", id="error lines and commands"),
        pytest.param(r"\]\(([^)#]+)[^)]*\)", id="links"),
    ],
)
def test_both_languages_have_the_same(pattern: str) -> None:
    ours, theirs = (re.findall(pattern, prose(page), re.MULTILINE) for page in (ENGLISH, PORTUGUESE))
    translated = {"README.pt-BR.md": "README.md", "docs/report.en.png": "docs/report.pt-BR.png"}
    assert [translated.get(each, each) for each in ours] == [translated.get(each, each) for each in theirs] != []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", prose(page)):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def test_troubleshooting_has_lines_that_the_project_says() -> None:
    sources = [
        *REPOSITORY.glob("roles/*/*/*.yml"),
        *REPOSITORY.glob("playbooks/**/*.yml"),
        *REPOSITORY.glob("playbooks/*/*.py"),
    ]
    text = re.sub(r"\s+", " ", "".join(path.read_text() for path in sources))
    text += "".join(
        path.read_text() for path in (*REPOSITORY.glob("files/app/*.py"), *REPOSITORY.glob("roles/*/files/*.py"))
    )
    (table,) = re.findall(r"^## When it does not work$(.*?)^## ", ENGLISH.read_text(), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    lines = [line for row in rows for line in re.findall(r"`(.+?)`", row)]
    for line in set(lines) - {NOT_OURS}:
        words = line.removeprefix("ERRO [").removeprefix("ERROR [").removesuffix("]")
        longest = max(re.split(r" N |…|'[^']*'", words), key=len).strip()
        assert longest in text, line
    assert len(lines) > 15
