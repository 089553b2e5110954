"""libssh2, newest, by ssh2-python."""
import os
import socket

from ssh2.session import Session
from ssh2.sftp import LIBSSH2_FXF_CREAT, LIBSSH2_FXF_READ, LIBSSH2_FXF_WRITE
from steps import COMMAND, ECHO, HOST, INPUT, KEY, LOGIN, OUTPUT_COMMAND, PLACE, PORT, digest, say

session = Session()
session.handshake(socket.create_connection((HOST, PORT)))
session.userauth_publickey_fromfile(LOGIN, KEY)


def everything(read, *args) -> bytes:
    return b"".join(iter(lambda: read(*args)[1], b""))


def run(command: str, data: bytes = b""):
    channel = session.open_session()
    channel.execute(command)
    while data:
        data = data[channel.write(data[:32768])[1]:]
    channel.send_eof()
    out, err = everything(channel.read), everything(channel.read_ex, 32768, 1)
    channel.wait_eof()
    channel.close()
    channel.wait_closed()
    return channel.get_exit_status(), out, err


say("exec", *run(COMMAND))
say("input", run("sha256sum", INPUT)[1])
say("output", digest(run(OUTPUT_COMMAND)[1]))

shell = session.open_session()
shell.pty("xterm")
shell.shell()
shell.write("stty size; test -t 0 && echo a-$TERM; exit 5\n")
shown = everything(shell.read)
shell.close()
shell.wait_closed()
say("shell", shell.get_exit_status(), b"24 80" in shown, b"a-xterm" in shown)

sftp = session.sftp_init()
path = os.path.join(PLACE, "file")
with sftp.open(path + ".new", LIBSSH2_FXF_CREAT | LIBSSH2_FXF_WRITE, 0o600) as file:
    file.write(INPUT)
sftp.rename(path + ".new", path)
with sftp.open(path, LIBSSH2_FXF_READ, 0) as file:
    read = b"".join(data for _, data in file)
names = [name.decode() for _, name, _ in sftp.opendir(PLACE).readdir() if not name.startswith(b".")]
say("sftp", digest(read), names, sftp.stat(path).filesize)
sftp.unlink(path)

forward = session.direct_tcpip("127.0.0.1", ECHO)
forward.write(b"through")
say("forward", forward.read()[1])
forward.close()
session.disconnect()
