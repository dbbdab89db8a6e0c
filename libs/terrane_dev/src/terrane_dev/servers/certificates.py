"""An authority of one's own and a server's certificate of it, made by openssl, for what is to be tried with TLS."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from terrane_dev.servers.accounts import server_account

DAYS = "2"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Authority:
    """Files in PEM: the authority's certificate, one of another authority, and a server's key and certificate.

    The server's is for `localhost` and 127.0.0.1, and for no other name.
    """

    certificate: Path
    another: Path
    server_key: Path
    server_certificate: Path


def make_authority(folder: Path) -> Authority:
    """Makes all of it in the folder, which the servers' account owns."""
    for name in ("ca", "another"):
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", "-subj", f"/CN={name} of a test"]
        _openssl("req", "-x509", *KEY, "-days", DAYS, *files)
    request, certificate, key = (folder / f"server.{ending}" for ending in ("csr", "crt", "key"))
    extensions = folder / "server.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    _openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    by = ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial", "-extfile", extensions]
    _openssl("x509", "-req", "-in", request, "-out", certificate, "-days", DAYS, *by)
    # What a server is given has its authority's certificate after its own.
    certificate.write_text(certificate.read_text() + (folder / "ca.crt").read_text())
    key.chmod(0o600)
    if account := server_account():
        for file in folder.iterdir():
            account.own(file)
    return Authority(folder / "ca.crt", folder / "another.crt", key, certificate)


def as_minio_wants(authority: Authority, folder: Path) -> Path:
    """A folder with the server's key and certificate under the names by which MinIO looks for them."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(authority.server_key, folder / "private.key")
    shutil.copy(authority.server_certificate, folder / "public.crt")
    return folder


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]} failed: {done.stderr.strip()}")
