"""The system's own browser, driven by Playwright."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium", "google-chrome", "chromium-browser")


@contextlib.contextmanager
def launch_browser() -> Iterator[Browser]:
    """Start the browser, and end it with the context.

    Raises:
        FileNotFoundError: there is none.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise FileNotFoundError(f"none of {', '.join(PROGRAMS)}: `make browser` installs the first")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()
