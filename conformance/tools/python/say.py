"""What the programs share: a case each, its result or its error, one line of JSON."""

import json
import sys


def _plain(value):
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _error(error):
    """The driver's own error, below what a library made of it."""
    while True:
        inner = getattr(error, "orig", None) or error.__cause__
        if inner is None or inner is error:
            break
        error = inner
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return {"type": type(error).__name__, "code": code, "message": str(error).strip().split("\n")}


def attempt(name, work):
    try:
        line = {"name": name, "result": work()}
    except Exception as error:  # noqa: BLE001: whatever a tool throws is what it shows
        line = {"name": name, "error": _error(error)}
    print(json.dumps(line, default=_plain, ensure_ascii=False), flush=True)
    return line.get("result")


def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)
