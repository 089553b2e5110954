"""What the programs in Python share: where to go, what to do, how it is said."""
import hashlib
import os

HOST = os.environ["HOST"]
PORT = int(os.environ["PORT"])
LOGIN = os.environ["LOGIN"]
KEY = os.environ["KEY"]
PLACE = os.environ["PLACE"]
ECHO = int(os.environ["ECHO"])
COMMAND = os.environ["COMMAND"]
OUTPUT_COMMAND = os.environ["OUTPUT_COMMAND"]
with open(os.environ["INPUT"], "rb") as file:
    INPUT = file.read()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def say(step: str, *values: object) -> None:
    words = [value.decode().strip() if isinstance(value, bytes) else str(value) for value in values]
    print(f"{step}:", *words, flush=True)
