"""pg_activity on a terminal: each of its three lists of queries, then q."""

import os
import pty
import re
import select
import struct
import sys
import termios
import time
from fcntl import ioctl

from say import attempt

SECONDS = 60
LISTS = (("running", b"1", "RUNNING QUERIES"), ("waiting", b"2", "WAITING QUERIES"), ("blocking", b"3", "BLOCKING QUERIES"))
program = os.path.join(os.path.dirname(sys.executable), "pg_activity")


def screen(terminal, until=None):
    """What it draws until a text is there, or until it ends."""
    drawn, end = "", time.monotonic() + SECONDS
    while time.monotonic() < end and (until is None or until not in drawn):
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            drawn += re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", "", os.read(terminal, 65536).decode(errors="replace"))
        except OSError:
            break
    return drawn


def shows(key, title):
    """Whether the list is there, and how the program ends; of an error what it says last."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execv(program, [program, "--refresh", "0.5"])
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    screen(terminal, LISTS[0][2])
    os.write(terminal, key)
    drawn = screen(terminal, title)
    if title in drawn:
        os.write(terminal, b"q")
        screen(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    said = drawn[drawn.rfind("psycopg.errors.") :].strip().splitlines()
    return ["shown" if title in drawn else said, status]


for name, key, title in LISTS:
    attempt(name, lambda key=key, title=title: shows(key, title))
