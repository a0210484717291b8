"""Start the app and visit it from inside a network namespace that has loopback and nothing else.

Run as: PYTHONPATH=tests unshare --net --map-root-user python -m page.isolated ENVIRONMENT
with the app's environment as JSON.
Prints one line of JSON: whether another host can be reached, and each task's two columns.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys

from page.chromium import find
from page.visiting import CHROMIUM_FLAGS, Visitor, serving


def raise_loopback() -> None:
    """`ip link set lo up`, without ip."""
    set_flags, up_and_running = 0x8914, 0x1 | 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, set_flags, struct.pack("16sh14x", b"lo", up_and_running))


def reaches(host: str) -> bool:
    try:
        socket.create_connection((host, 53), timeout=3).close()
    except OSError:
        return False
    return True


def main() -> int:
    from playwright.sync_api import sync_playwright

    raise_loopback()
    found = {"outside": reaches("192.0.2.1") or reaches("8.8.8.8"), "columns": {}}
    env = json.loads(sys.argv[1])
    with serving([sys.executable, "app.py"], env) as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=CHROMIUM_FLAGS)
        visitor = Visitor(browser, app.url)
        for task in ("radiology", "dialogue", "question"):
            visitor.open(task)
            visitor.pick(0)
            visitor.status("done")
            found["columns"][task] = [visitor.column("base"), visitor.column("lora")]
        found["foreign"], found["faults"] = visitor.foreign(), visitor.faults
        browser.close()
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
