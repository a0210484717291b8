"""Pictures of the page, wide and narrow, light and dark, before and after a run.

Run as: make screenshots (or python tests/page/screenshots.py FOLDER, with an address after it to
visit a page that is served already)
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from page.chromium import ADVICE, find
from page.visiting import CHROMIUM_FLAGS, PHONE, Visitor, free_port, serving

WIDE = {"viewport": {"width": 1280, "height": 800}}
TASKS = ("radiology", "dialogue", "question")


def main() -> int:
    from playwright.sync_api import sync_playwright

    if len(sys.argv) not in (2, 3):
        print("usage: python tests/page/screenshots.py FOLDER [ADDRESS]", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    path = find()
    if path is None:
        print(ADVICE, file=sys.stderr)
        return 1
    env = os.environ | {"SUMMARIZER_PORT": str(free_port())}
    served = (
        contextlib.nullcontext(SimpleNamespace(url=sys.argv[2]))
        if len(sys.argv) == 3
        else serving([sys.executable, "app.py"], env)
    )
    with served as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        for scheme in ("light", "dark"):
            for size, context in (("wide", WIDE), ("phone", PHONE)):
                visitor = Visitor(browser, app.url, color_scheme=scheme, **context)
                take(visitor, folder, f"{size}-{scheme}")
                visitor.context.close()
        browser.close()
    return 0


def take(visitor: Visitor, folder: Path, name: str) -> None:
    def picture(what: str, *, whole: bool = False) -> None:
        visitor.page.wait_for_timeout(500)  # transitions end
        visitor.page.screenshot(path=folder / f"{name}-{what}.png", full_page=whole)

    picture("start")
    for task in TASKS:
        visitor.open(task)
        visitor.pick(0)
        visitor.status("done")
        picture(task, whole=True)
    visitor.page.get_by_role("tab", name="Results", exact=True).click()
    picture("results", whole=True)


if __name__ == "__main__":
    sys.exit(main())
