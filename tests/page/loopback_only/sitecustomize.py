"""Put first on PYTHONPATH: a process that may reach its own machine and nothing else.

Every attempt to look up or reach another host fails, and is written to the file LOOPBACK_LOG, so
that an attempt which the program forgives is seen all the same.
"""

import os
import socket

LOCAL = ("127.", "localhost", "0.0.0.0", "::1", "::")


def _refuse(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if host is None or name == "" or name.startswith(LOCAL) or name == socket.gethostname():
        return
    with open(os.environ["LOOPBACK_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{name}\n")
    raise OSError(f"only loopback answers here, not {name}")


def _guard_socket(name: str) -> None:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, *arguments: object) -> object:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(arguments[-1][0])
        return original(self, *arguments)

    setattr(socket.socket, name, guarded)


def _guard_lookup(name: str) -> None:
    original = getattr(socket, name)

    def guarded(host: object, *arguments: object, **named: object) -> object:
        _refuse(host)
        return original(host, *arguments, **named)

    setattr(socket, name, guarded)


for _name in ("connect", "connect_ex", "sendto"):
    _guard_socket(_name)
for _name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    _guard_lookup(_name)
