"""Asks the UI for its version, and whether every code location is loaded."""

import json
import os
import sys
import urllib.error
import urllib.request

QUERY = """{ workspaceOrError {
  ... on PythonError { message }
  ... on Workspace { locationEntries { name loadStatus locationOrLoadError { ... on PythonError { message } } } } } }"""


def ask(path: str, body: object = None) -> dict:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(os.environ["UI_URL"] + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def problems(workspace: dict) -> list[str]:
    """Why the workspace is not as it should be, one sentence a location."""
    entries = workspace.get("locationEntries")
    if not entries:
        return [workspace.get("message") or "the UI knows no code location"]
    found = [
        f"{e['name']}: {(e['locationOrLoadError'] or {}).get('message', '').strip()}"
        for e in entries
        if (e["locationOrLoadError"] or {}).get("message")
    ]
    return found + [f"{e['name']} is {e['loadStatus'].lower()}" for e in entries if e["loadStatus"] != "LOADED"]


try:
    version = ask("/server_info")["dagster_webserver_version"]
    workspace = ask("/graphql", {"query": QUERY})["data"]["workspaceOrError"]
except (urllib.error.URLError, TimeoutError, KeyError, ValueError) as problem:
    sys.exit(f"the UI at {os.environ['UI_URL']} does not answer as Dagster does: {problem!r}")
if found := problems(workspace):
    sys.exit("\n".join(found))
print(f"Dagster {version} has loaded {', '.join(sorted(e['name'] for e in workspace['locationEntries']))}")
