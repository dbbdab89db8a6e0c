"""A MinIO server, for what is to be tried on a real S3: from PATH, or its last community source built by Go.

Upstream publishes no binaries any more; the source is a Go module, built once into a cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

MODULE = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
USER = "terrane"


def find_program(cache: Path) -> Path | None:
    """MinIO from PATH, or as built before, or built now where there is Go; None where none of it is to be had."""
    if on_path := shutil.which("minio"):
        return Path(on_path)
    built = cache / "minio"
    if built.exists():
        return built
    if not shutil.which("go"):
        return None
    cache.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(cache), "GOFLAGS": "-trimpath -ldflags=-s"}
    done = subprocess.run(["go", "install", MODULE], env=environment, capture_output=True, text=True)
    return built if done.returncode == 0 else None


def command(program: Path, data: Path, port: int) -> list[str]:
    return [str(program), "server", "--quiet", "--address", f"127.0.0.1:{port}", str(data)]


def environment(password: str) -> Mapping[str, str]:
    return os.environ | {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": password, "MINIO_BROWSER": "off"}


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/minio/health/live", timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
