"""A location's places in skaffold.yaml: its image, what is synced into it, and its values."""

from __future__ import annotations

from terrane_cli.locations.images import Built

DEPLOYMENTS = "dagster.dagster-user-deployments.deployments"


def artifacts(images: dict[str, Built]) -> str:
    """The images of locations, in the list of artifacts."""
    return "".join(_artifact(name, image) for name, image in images.items())


def templates(images: dict[str, Built]) -> str:
    """The values that are filled with what was just built."""
    lines = []
    for place, (name, image) in enumerate(images.items()):
        repository, tag = f"{{{{.IMAGE_REPO_terrane_{name}}}}}", f"{{{{.IMAGE_TAG_terrane_{name}}}}}"
        if image.feature_server:
            lines.append(f'featureServer.image.tag: "{tag}"')
        lines += [
            f'{DEPLOYMENTS}[{place}].image.repository: "{repository}"',
            f'{DEPLOYMENTS}[{place}].image.tag: "{tag}"',
            f'development.sharedSource[{place}].image: "{{{{.IMAGE_FULLY_QUALIFIED_terrane_{name}}}}}"',
            f'development.sharedSource[{place}].folder: "{tag}"',
            f'{DEPLOYMENTS}[{place}].volumeMounts[3].subPath: "{tag}"',
        ]
    return "".join(f"          {line}\n" for line in lines)


def settings(images: dict[str, Built]) -> str:
    """The values that are always the same."""
    text = ""
    for place, name in enumerate(images):
        claim = f"{{claimName: terrane-source-of-{name}}}"
        text += (
            f"          development.sharedSource[{place}].location: {name}\n"
            f"          {DEPLOYMENTS}[{place}]:\n"
            f"            volumes[3]: {{name: source, persistentVolumeClaim: {claim}}}\n"
            f"            volumeMounts[3]: {{name: source, mountPath: /opt/terrane}}\n"
        )
    return text


def _artifact(name: str, image: Built) -> str:
    text = f"    - image: terrane/{name}\n"
    if image.arguments:
        text += f"      docker:\n        dockerfile: {image.dockerfile}\n        buildArgs:\n"
        text += "".join(f'          {key}: "{value}"\n' for key, value in image.arguments.items())
    else:
        text += f"      docker: {{dockerfile: {image.dockerfile}}}\n"
    text += "      sync:\n        manual:\n"
    text += "".join(f'          - {{src: "{pattern}", dest: /opt/terrane}}\n' for pattern in image.synced)
    reload = f"[.venv/bin/terrane, cluster, reload, {name}]"
    return text + f"        hooks: {{after: [{{host: {{command: {reload}}}}}]}}\n"
