"""dlt's Python, in an environment of its own: it is in none of the platform's. Prints where it is."""

import subprocess
from pathlib import Path

from terrane_cli.project import Project
from terrane_cli.setup.environments import find_uv

LOCK = Path(__file__).parent / "requirements.lock"


def python() -> Path:
    """The interpreter; the environment is made when it is not there."""
    project = Project.here()
    folder = project.state / "bench-flow" / "dlt"
    if not (folder / "bin" / "python").exists():
        uv = str(find_uv(project))
        subprocess.run([uv, "venv", "--quiet", str(folder)], check=True)
        install = [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK)]
        subprocess.run([*install, "--python", str(folder / "bin" / "python")], check=True)
    return folder / "bin" / "python"


if __name__ == "__main__":
    print(python())
