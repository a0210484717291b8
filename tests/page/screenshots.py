"""Pictures of the page: of the example that README shows, or of every tab and state.

Run as: python tests/page/screenshots.py docs/screenshots
        python tests/page/screenshots.py FOLDER --all [--address http://127.0.0.1:7860]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from page.chromium import ADVICE, find
from page.visiting import CHROMIUM_FLAGS, PHONE, Visitor, free_port, serving

SIZES = {"1280": {"viewport": {"width": 1280, "height": 800}}, "390": PHONE}
SCHEMES = ("light", "dark")
SHOWN = {("1280", "light"), ("390", "dark")}
TASKS = ("radiology", "dialogue", "question")
EXAMPLE = 0


def main() -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--all", action="store_true", help="every tab and state")
    parser.add_argument("--address", help="of a page that is served already")
    options = parser.parse_args()
    path = find()
    if path is None:
        print(ADVICE, file=sys.stderr)
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    env = os.environ | {"SUMMARIZER_PORT": str(free_port())}
    served = (
        contextlib.nullcontext(SimpleNamespace(url=options.address))
        if options.address
        else serving([sys.executable, "app.py"], env)
    )
    with served as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        for size, context in SIZES.items():
            for scheme in SCHEMES:
                if not options.all and (size, scheme) not in SHOWN:
                    continue
                visitor = Visitor(browser, app.url, color_scheme=scheme, **context)
                camera = Camera(visitor, options.folder, f"{size}-{scheme}")
                everything(camera) if options.all else camera.example("radiology")
                visitor.context.close()
        browser.close()
    return 0


class Camera:
    """Takes pictures of one visitor's page, named by what they show, width and scheme."""

    def __init__(self, visitor: Visitor, folder: Path, name: str):
        self.visitor, self.folder, self.name = visitor, folder, name

    def take(self, what: str, *, whole: bool = True) -> None:
        self.visitor.page.wait_for_timeout(500)  # transitions end
        path = self.folder / f"{what}-{self.name}.png"
        self.visitor.page.screenshot(path=path, full_page=whole)

    def example(self, task: str) -> None:
        self.visitor.open(task)
        self.visitor.pick(EXAMPLE)
        self.visitor.status("done")
        self.visitor.page.mouse.move(0, 0)
        self.take(task)


def everything(camera: Camera) -> None:
    visitor = camera.visitor
    camera.take("start", whole=False)
    for task in TASKS:
        camera.example(task)
    visitor.open_settings()
    visitor.run(" ", "error")
    camera.take("error", whole=False)
    camera.take("settings")
    visitor.open("dialogue")
    visitor.pick(3)  # the long visit
    visitor.find(".side.base .summary:not(.empty)").wait_for()
    camera.take("running", whole=False)
    visitor.press("stop")
    visitor.status("stopped")
    camera.take("stopped", whole=False)
    visitor.open("radiology")
    visitor.run("The lungs are clear. The heart is of normal size. " * 250)
    camera.take("cut")
    visitor.page.get_by_role("tab", name="Results", exact=True).click()
    camera.take("results")
    visitor.page.get_by_role("button", name="Run all examples").first.click()
    visitor.page.locator(".results-tab .case").nth(3).wait_for()
    visitor.page.locator(".results-tab .case summary").first.click()
    camera.take("cases")
    visitor.page.locator(".results-tab button.stop").first.click()


if __name__ == "__main__":
    sys.exit(main())
