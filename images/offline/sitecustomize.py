"""Takes the network away from every Python that has this folder on its path: a definition load has no use for one."""

import sys
from typing import Any


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host not in (None, "", "localhost", "127.0.0.1", "::1"):
        raise OSError(f"something asks for {host} while definitions load; connect where an asset or a resource runs")


sys.addaudithook(_refuse)
