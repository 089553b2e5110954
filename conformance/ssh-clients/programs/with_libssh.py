"""libssh, by ssh-python."""
import os
import socket

from ssh import options
from ssh.key import import_privkey_file
from ssh.session import Session
from steps import COMMAND, ECHO, HOST, INPUT, KEY, LOGIN, OUTPUT_COMMAND, PLACE, PORT, digest, say

session = Session()
session.options_set(options.HOST, HOST)
session.options_set(options.USER, LOGIN)
session.options_set_port(PORT)
session.connect()
session.userauth_publickey(import_privkey_file(KEY))


def everything(channel, is_stderr: bool = False) -> bytes:
    return b"".join(iter(lambda: channel.read(32768, is_stderr=is_stderr)[1], b""))


def run(command: str, data: bytes = b""):
    channel = session.channel_new()
    channel.open_session()
    channel.request_exec(command)
    while data:
        data = data[channel.write(data[:32768])[1]:]
    channel.send_eof()
    out, err = everything(channel), everything(channel, True)
    status = channel.get_exit_status()
    channel.close()
    return status, out, err


say("exec", *run(COMMAND))
say("input", run("sha256sum", INPUT)[1])
say("output", digest(run(OUTPUT_COMMAND)[1]))

shell = session.channel_new()
shell.open_session()
shell.request_pty_size("xterm", 132, 43)
shell.change_pty_size(100, 30)
shell.request_shell()
shell.write(b"stty size; test -t 0 && echo a-$TERM; exit 5\n")
shown = everything(shell)
say("shell", shell.get_exit_status(), b"30 100" in shown, b"a-xterm" in shown)

sftp = session.sftp_new()
sftp.init()
path = os.path.join(PLACE, "file")
with sftp.open(path + ".new", os.O_CREAT | os.O_WRONLY, 0o600) as file:
    for at in range(0, len(INPUT), 32768):
        file.write(INPUT[at:at + 32768])
sftp.rename(path + ".new", path)
with sftp.open(path, os.O_RDONLY, 0) as file:
    read = b"".join(iter(lambda: file.read(32768)[1], b""))
directory = sftp.opendir(PLACE)
names = [entry.name.decode() for entry in directory if not entry.name.startswith(b".")]
say("sftp", digest(read), names, sftp.stat(path).size)
sftp.unlink(path)

forward = session.channel_new()
forward.open_forward("127.0.0.1", ECHO, "127.0.0.1", 1)
forward.write(b"through")
say("forward", forward.read(100)[1])
forward.close()
session.disconnect()
