"""`python -m source_api --port P --first-day YYYY-MM-DD`: serves until it is ended. The key comes from API_KEY."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from datetime import date
from pathlib import Path

from source_api.catalogue import PLACES_FILE, read_places
from source_api.server import SourceApi


def main() -> None:
    parser = argparse.ArgumentParser(prog="source_api", description="Stands for the product's API in development.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: loopback only)")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument(
        "--first-day", type=date.fromisoformat, required=True, help="the first day with data, YYYY-MM-DD"
    )
    parser.add_argument("--places", type=Path, default=PLACES_FILE, help="a file of place names, one a line")
    asked = parser.parse_args()
    key = os.environ.get("API_KEY")
    if not key:
        raise SystemExit("API_KEY is not set; it is the key that callers must send")
    server = SourceApi(asked.first_day, key, read_places(asked.places), asked.port, host=asked.host)
    # shutdown() waits for serve_forever(), which runs in this very thread, so another one calls it.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"the source API answers at {server.url}", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
