"""Take pictures of the report that `make demo` wrote, for the README in each language."""

from __future__ import annotations

from shared.browser import launch_browser
from shared.demo import REPOSITORY

LANGUAGES = {"en": "English", "pt-BR": "Português"}


def main() -> None:
    """Write docs/report.en.png and docs/report.pt-BR.png."""
    with launch_browser() as browser:
        page = browser.new_page(viewport={"width": 800, "height": 860}, color_scheme="light")
        page.goto((REPOSITORY / "build/report.html").as_uri())
        for language, label in LANGUAGES.items():
            page.get_by_label(label).check()
            page.screenshot(path=REPOSITORY / f"docs/report.{language}.png")


if __name__ == "__main__":
    main()
