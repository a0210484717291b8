"""Find the Chromium that the page's tests drive, or install Debian's where that is allowed.

Run as: python tests/page/chromium.py (prints the path of the browser)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ADVICE = (
    "No Chromium was found for the tests of the page: install the package chromium or "
    "google-chrome, or name a browser as CHROME=/path/to/chromium."
)


def find() -> str | None:
    """The path of an installed Chromium: CHROME where it is set, else the first on the PATH."""
    named = os.environ.get("CHROME", "").strip()
    if named:
        return shutil.which(named)
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> None:
    """Install Debian's chromium, as root or with a sudo that asks no password."""
    prefix: list[str] = []
    if os.geteuid() != 0:
        prefix = ["sudo", "-n"]
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        # apt's own words go to stderr: stdout is for the path alone.
        subprocess.run([*apt, *command], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)


def main() -> int:
    path = find()
    if path is None and not os.environ.get("CHROME") and shutil.which("apt-get"):
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"apt-get could not install chromium: {error}", file=sys.stderr)
        path = find()
    if path is None:
        print(ADVICE, file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
