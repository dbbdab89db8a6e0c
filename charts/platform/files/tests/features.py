"""Asks the feature server for features, as a product does."""

import json
import os
import sys
import urllib.error
import urllib.request

URL = os.environ["FEATURES_URL"] + "/get-online-features"


def ask(question: object, key: str = "") -> tuple[int, dict]:
    """The answer's status and content. Raises OSError when there is none."""
    headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
    request = urllib.request.Request(URL, json.dumps(question).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"{}")


question = json.loads(os.environ["QUESTION"])
keys = [key.strip() for key in os.environ.get("FEATURE_SERVER_API_KEYS", "").split(",") if key.strip()]
try:
    if os.environ.get("ACCESS_SECRET"):
        status, _ = ask(question)
        if status != 401:
            sys.exit(f"the feature server is to ask for a key or a token, and answered {status} without one")
        if not keys:
            print("without a token nobody is answered; FEATURE_SERVER_API_KEYS holds no key to ask on with")
            sys.exit()
    status, answer = ask(question, keys[0] if keys else "")
except (OSError, ValueError) as problem:
    sys.exit(f"the feature server at {URL} does not answer: {problem!r}")
if status != 200:
    sys.exit(f"{URL} answered {status} to {json.dumps(question)}: {answer.get('detail', answer)}")
print(f"answered {', '.join(answer['metadata']['feature_names'])}")
