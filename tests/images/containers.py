"""Building images, and running containers of them as a cluster would."""

from __future__ import annotations

import json
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrane_cli.cluster.images import images
from terrane_cli.project import Project

ROOT = Path(__file__).parents[2]
IMAGES = {image.name: image for image in images(Project(ROOT))}
NAMES = sorted(IMAGES)
REVISION = "0123456789abcdef0123456789abcdef01234567"
# As the charts' security contexts: nobody's home, nothing to write to but two empty folders.
CONFINED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=1000:1000",
    "--tmpfs=/tmp",
    "--tmpfs=/opt/dagster/dagster_home:uid=1000,gid=1000",
    "--env=HOME=/nonexistent",
)


@dataclass(frozen=True)
class Image:
    """A built image, by its tag."""

    name: str
    tag: str

    def run(self, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The command, to its end, confined and without a network; its entry point is the command's first word."""
        first, *rest = command
        variables = [f"--env={k}={v}" for k, v in (env or {}).items()]
        return docker("run", "--rm", "--network=none", *CONFINED, *variables, f"--entrypoint={first}", self.tag, *rest)

    def python(self, code: str, env: dict[str, str] | None = None) -> Any:
        """The last line that the code printed, read as JSON."""
        done = self.run("python", "-c", code, env=env)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def started(self, *arguments: str, network: str = "none", options: tuple[str, ...] = ()) -> Iterator[str]:
        """A container of it in the background, confined; its name. It is gone afterwards."""
        name = f"terrane-images-{uuid.uuid4().hex[:8]}"
        done = docker(
            "run", "--detach", f"--name={name}", f"--network={network}", *CONFINED, *options, self.tag, *arguments
        )
        assert done.returncode == 0, done.stderr
        try:
            yield name
        finally:
            docker("rm", "--force", "--volumes", name)

    def inspect(self) -> dict[str, Any]:
        return json.loads(docker("image", "inspect", self.tag).stdout)[0]


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True)


def build(
    name: str, tag: str, context: Path = ROOT, secrets: dict[str, Path] | None = None, **arguments: str
) -> subprocess.CompletedProcess[str]:
    """Builds the image of the context with its own build arguments and these, and files as secrets."""
    image = IMAGES[name]
    given = [word for key, value in (image.arguments | arguments).items() for word in ("--build-arg", f"{key}={value}")]
    given += [word for key, file in (secrets or {}).items() for word in ("--secret", f"id={key},src={file}")]
    file = str(context / image.dockerfile)
    return docker("build", "--progress=plain", *given, "--file", file, "--tag", tag, str(context))


def history(tag: str) -> list[str]:
    """What each of the image's layers was made by."""
    return docker("history", "--no-trunc", "--format={{.CreatedBy}}", tag).stdout.splitlines()


def exported_files(tag: str) -> set[str]:
    """The paths of all files of an image, without a leading slash; for one that has no shell to list them."""
    name = f"terrane-images-{uuid.uuid4().hex[:8]}"
    docker("create", f"--name={name}", tag)
    try:
        with subprocess.Popen(["docker", "export", name], stdout=subprocess.PIPE) as export:
            assert export.stdout is not None
            with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
                return {member.name for member in archive if not member.isdir()}
    finally:
        docker("rm", name)
