"""asyncssh."""
import asyncio
import os

import asyncssh
from steps import COMMAND, ECHO, HOST, INPUT, KEY, LOGIN, OUTPUT_COMMAND, PLACE, PORT, digest, say


async def main() -> None:
    options = {"username": LOGIN, "client_keys": [KEY], "known_hosts": None, "agent_path": None, "config": None}
    async with asyncssh.connect(HOST, PORT, **options) as client:
        ran = await client.run(COMMAND)
        say("exec", ran.exit_status, ran.stdout.strip(), ran.stderr.strip())
        ran = await client.run("sha256sum", input=INPUT, encoding=None)
        say("input", ran.stdout)
        ran = await client.run(OUTPUT_COMMAND, encoding=None)
        say("output", digest(ran.stdout))

        shell = await client.create_process(term_type="xterm", term_size=(132, 43))
        shell.change_terminal_size(100, 30)
        shell.stdin.write("stty size; test -t 0 && echo a-$TERM; exit 5\n")
        shown = await shell.stdout.read()
        await shell.wait()
        say("shell", shell.exit_status, "30 100" in shown, "a-xterm" in shown)

        async with client.start_sftp_client() as sftp:
            path = os.path.join(PLACE, "file")
            async with sftp.open(path + ".new", "wb") as file:
                await file.write(INPUT)
            await sftp.posix_rename(path + ".new", path)
            async with sftp.open(path, "rb") as file:
                names = [name for name in await sftp.listdir(PLACE) if not name.startswith(".")]
                say("sftp", digest(await file.read()), names, await sftp.getsize(path))
            await sftp.remove(path)

        reader, writer = await client.open_connection("127.0.0.1", ECHO)
        writer.write(b"through")
        say("forward", await reader.read(100))
        writer.close()


asyncio.run(main())
