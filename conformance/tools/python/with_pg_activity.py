"""pg_activity on a terminal: its three lists of queries; then q."""

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
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm"
    os.execv(program, [program, "--refresh", "0.5"])
ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))


def screen(until=None):
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
    os.write(terminal, key)
    drawn = screen(title)
    return "shown" if title in drawn else drawn.split("\n")


for name, key, title in LISTS:
    attempt(name, lambda key=key, title=title: shows(key, title))
attempt("quit", lambda: [os.write(terminal, b"q"), screen() is None, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])])
