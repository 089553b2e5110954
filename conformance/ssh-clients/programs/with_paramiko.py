"""paramiko, as Ansible and Fabric use it."""
import os

import paramiko
from steps import COMMAND, ECHO, HOST, INPUT, KEY, LOGIN, OUTPUT_COMMAND, PLACE, PORT, digest, say

client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect(HOST, port=PORT, username=LOGIN, key_filename=KEY, allow_agent=False, look_for_keys=False)

stdin, stdout, stderr = client.exec_command(COMMAND)
say("exec", stdout.channel.recv_exit_status(), stdout.read(), stderr.read())

stdin, stdout, stderr = client.exec_command("sha256sum")
stdin.write(INPUT)
stdin.channel.shutdown_write()
say("input", stdout.read())

_, stdout, _ = client.exec_command(OUTPUT_COMMAND)
say("output", digest(stdout.read()))

shell = client.invoke_shell("xterm", 132, 43)
shell.resize_pty(100, 30)
shell.sendall("stty size; test -t 0 && echo a-$TERM; exit 5\n")
shown = b"".join(iter(lambda: shell.recv(65536), b""))
say("shell", shell.recv_exit_status(), b"30 100" in shown, b"a-xterm" in shown)

sftp = client.open_sftp()
path = os.path.join(PLACE, "file")
with sftp.open(path + ".new", "wb") as file:
    file.set_pipelined(True)
    file.write(INPUT)
sftp.posix_rename(path + ".new", path)
with sftp.open(path, "rb") as file:
    file.prefetch()
    say("sftp", digest(file.read()), sftp.listdir(PLACE), sftp.stat(path).st_size)
sftp.remove(path)

forward = client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", ECHO), ("127.0.0.1", 1))
forward.sendall("through")
say("forward", forward.recv(100))
forward.close()
client.close()
