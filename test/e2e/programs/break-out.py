"""Attempts to get out of a fence, or at what it hides. Prints one JSON line for each: name, and
what was got, which is null where nothing was. What to look for comes as JSON in the only argument."""
import ctypes, glob, json, os, signal, socket, struct, subprocess, sys

known = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
MACHINE = os.uname().machine == 'x86_64'


def attempt(name, act):
    try:
        got = act()
    except Exception:
        got = None
    print(json.dumps([name, got if got is None else str(got)[:200]]), flush=True)


def call(number, *args):
    result = libc.syscall(number, *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def shell(script):
    done = subprocess.run(['sh', '-c', script], capture_output=True, text=True, timeout=20)
    return done.stdout.strip() or None


def secret_in(path):
    with open(path) as file:
        return path if known['secret'] in file.read() else None


def reaches(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(3)
        client.connect(address)
        return address


def through_proxy(authority, method='CONNECT'):
    host, port = os.environ['HTTPS_PROXY'].removeprefix('http://').split(':')
    with socket.create_connection((host, int(port)), timeout=15) as proxy:
        proxy.sendall(f'{method} {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n'.encode())
        reply = proxy.recv(200)
        return reply if reply.split(b' ')[1:2] == [b'200'] else None


def spoken(text):
    """What the proxy says to bytes that are no plain CONNECT; a second answer would be somebody else's."""
    host, port = os.environ['HTTPS_PROXY'].removeprefix('http://').split(':')
    with socket.create_connection((host, int(port)), timeout=5) as proxy:
        proxy.sendall(text.encode())
        said = b''
        try:
            while part := proxy.recv(4096):
                said += part
        except TimeoutError:
            pass
        return said if b' 200 ' in said else None


def writes(path):
    with open(path, 'a') as file:
        file.write('planted\n')
    return path


for path in known['hidden']:
    attempt(f'read {path}', lambda: secret_in(path))
    attempt(f'read {path} over /proc/self/root', lambda: secret_in(f'/proc/self/root{path}'))
    attempt(f'read {path} over /proc/1/root', lambda: secret_in(f'/proc/1/root{path}'))
    attempt(f'rename what is above {path}', lambda: os.rename(os.path.dirname(path), os.path.dirname(path) + '.x') or path)
attempt('variables with secrets', lambda: [n for n, v in os.environ.items() if known['secret'] in v] or None)
attempt('variables that lead to the desktop', lambda: [
    n for n in ['DISPLAY', 'WAYLAND_DISPLAY', 'DBUS_SESSION_BUS_ADDRESS', 'SSH_AUTH_SOCK', 'XAUTHORITY'] if n in os.environ
] or None)
attempt('variables of process 1', lambda: secret_in('/proc/1/environ'))
for path in known['sockets']:
    attempt(f'connect to {path}', lambda: reaches(socket.AF_UNIX, path))
for name in known['abstract']:
    attempt(f'connect to abstract {name}', lambda: reaches(socket.AF_UNIX, f'\0{name}'))
for pattern in ['/run/**', '/tmp/**', '/var/run/**', '/var/tmp/**', '/dev/shm/**']:
    attempt(f'sockets in {pattern}', lambda: [
        p for p in glob.glob(pattern, recursive=True, include_hidden=True)
        if not p.startswith(os.environ['HOOP_RUN_DIR']) and os.path.exists(p) and os.stat(p).st_mode & 0o170000 == 0o140000
    ] or None)
for host, port in known['hosts']:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    attempt(f'connect to {host}:{port}', lambda: reaches(family, (host, port)))
    authority = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    attempt(f'CONNECT {authority}', lambda: through_proxy(authority))
for authority in known['tunnels']:
    attempt(f'CONNECT {authority}', lambda: through_proxy(authority))
attempt('GET through the proxy', lambda: through_proxy(f'http://{known["tunnels"][0]}/', 'GET'))
for authority in known['tunnels']:
    host = f'Host: {authority}'
    for what, text in {
        'another protocol': f'GET / HTTP/1.1\r\n{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
        'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        'a request behind another': f'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nCONNECT {authority} HTTP/1.1\r\n{host}\r\n\r\n',
        'a body that hides one': f'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nCONNECT {authority} HTTP/1.1\r\n{host}\r\n\r\n',
        'a blank in the host': f'CONNECT x@{authority} HTTP/1.1\r\n{host}\r\n\r\n',
        'a whole URL': f'CONNECT http://{authority}/ HTTP/1.1\r\n{host}\r\n\r\n',
        'a dot behind it': f'CONNECT {authority.replace(":", ".:")} HTTP/1.1\r\n{host}\r\n\r\n',
        'octal': f'CONNECT 0177.0.0.1:{authority.split(":")[-1]} HTTP/1.1\r\n{host}\r\n\r\n',
    }.items():
        attempt(f'{what} through the proxy, to {authority}', lambda: spoken(text))
attempt('a name of DNS', lambda: socket.getaddrinfo('example.com', 443))
attempt('a datagram to a resolver', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53)))
for family in [17, 40, 38, 29, 31, 44]:
    attempt(f'a socket of family {family}', lambda: socket.socket(family, 2 if family == 29 else 5 if family == 38 else 1))
attempt('a raw socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
for path in known['readOnly']:
    attempt(f'write {path}', lambda: writes(path))
    attempt(f'write {path} by another name', lambda: os.link(path, 'linked') or writes('linked'))
    attempt(f'exchange {path}', lambda: open('mine', 'w').write('planted') and call(316 if MACHINE else 276, -100, b'mine', -100, path.encode(), 2) or path)
    attempt(f'rename what is above {path}', lambda: os.rename(os.path.dirname(path), os.path.dirname(path) + '.x') or path)
for process in known['processes']:
    attempt(f'signal {process}', lambda: os.kill(process, 0) or process)
    attempt(f'environ of {process}', lambda: open(f'/proc/{process}/environ').read() if f'/proc/{process}' and known['secret'] in open(f'/proc/{process}/environ').read() else None)
attempt('signal the parent', lambda: os.kill(os.getppid(), 0) if os.getppid() > 1 else None)
attempt('descriptors of process 1', lambda: [
    p for p in (os.readlink(f'/proc/1/fd/{n}') for n in os.listdir('/proc/1/fd') if int(n) > 2) if not p.startswith('anon_inode')
] or None)
attempt('descriptors that were inherited', lambda: [n for n in os.listdir('/proc/self/fd') if int(n) > 3] or None)


def reopened(flags):
    os.close(os.open('/proc/self/fd/0', flags))
    return os.readlink('/proc/self/fd/0')


attempt('standard input opened anew for writing', lambda: reopened(os.O_WRONLY))


def foreign_pidfd():
    """Of whoever made the socket that is standard output: outside of the namespace."""
    return socket.socket(fileno=os.dup(1)).getsockopt(1, 77)


attempt('a descriptor of the process at the other end of standard output', lambda: call(438, foreign_pidfd(), 0, 0))
attempt('a signal to the process at the other end of standard output', lambda: call(424, foreign_pidfd(), 0, 0, 0) or 'signalled')
attempt('TIOCSTI', lambda: call(16 if MACHINE else 29, 0, 0x5412, b'x') or 'typed')
attempt('TIOCSTI with the upper half set', lambda: call(16 if MACHINE else 29, 0, ctypes.c_ulong(0x100005412), b'x') or 'typed')
attempt('TIOCLINUX', lambda: call(16 if MACHINE else 29, 0, 0x541C, b'\x03') or 'pasted')
attempt('io_uring', lambda: call(425, 1, ctypes.create_string_buffer(120)))
attempt('keyrings', lambda: call(250 if MACHINE else 219, 0, -4, 0))
attempt('add a key', lambda: call(248 if MACHINE else 217, b'user', b'x', b'x', 1, -4))
IOVEC = struct.pack('PN', ctypes.addressof(PEEK := ctypes.create_string_buffer(8)), 8)
for process in known['processes']:
    attempt(f'ptrace {process}', lambda: call(101 if MACHINE else 117, 16, process, 0, 0) or 'attached')
    attempt(f'seize {process}', lambda: call(101 if MACHINE else 117, 0x4206, process, 0, 0) or 'attached')
    attempt(f'memory of {process}', lambda: call(310 if MACHINE else 270, process, IOVEC, 1, IOVEC, 1, 0))
    attempt(f'/proc/{process}/mem', lambda: os.open(f'/proc/{process}/mem', os.O_RDWR))
    attempt(f'pidfd of {process}', lambda: os.pidfd_open(process))
    attempt(f'limits of {process}', lambda: call(302 if MACHINE else 261, process, 7, 0, ctypes.create_string_buffer(16)) or 'read')
attempt('performance counters of a processor', lambda: call(298 if MACHINE else 241, struct.pack('IIQ112x', 1, 128, 0), -1, 0, -1, 0))
attempt('fanotify', lambda: call(300 if MACHINE else 262, 0, 0))
attempt('a module of the kernel', lambda: call(313 if MACHINE else 273, 0, b'', 0) or 'loaded')
attempt('BPF', lambda: call(321 if MACHINE else 280, 5, struct.pack('II120x', 1, 0), 128))
attempt('another time', lambda: call(227 if MACHINE else 112, 0, struct.pack('qq', 0, 0)) or 'set')
attempt('open by handle', lambda: call(304 if MACHINE else 265, -100, struct.pack('IiQ', 8, 1, 2), 0))
attempt('shared memory of others', lambda: open('/proc/sysvipc/shm').read().split('\n', 1)[1] or None)
attempt('setuid', lambda: os.setuid(65534) if os.getuid() != 0 else None)
attempt('capabilities', lambda: None if int(open('/proc/self/status').read().split('CapEff:')[1].split()[0], 16) == 0 else 'some')
for path in ['/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/1/oom_score_adj/../../sys/kernel/hostname', '/sys/kernel/uevent_helper']:
    attempt(f'open {path} for writing', lambda: os.close(os.open(path, os.O_WRONLY)) or path)
attempt('a way out over cgroups', lambda: os.mkdir('/sys/fs/cgroup/planted') or 'made')

IN_NAMESPACE = 'unshare --user --map-root-user --mount --pid --fork --mount-proc=/proc 2>/dev/null'
for hidden in known['hidden']:
    parent = os.path.dirname(hidden)
    for what, script in {
        'unmount': f'umount -l {parent}; umount -l {hidden}; grep -rsl {known["secret"]} {hidden}',
        'bind': f'mkdir -p /tmp/b; mount --bind / /tmp/b && grep -rsl {known["secret"]} /tmp/b{hidden}',
        'overlay': f'mkdir -p /tmp/o; mount -t overlay overlay -o lowerdir=/:/etc /tmp/o && grep -rsl {known["secret"]} /tmp/o{hidden}',
    }.items():
        attempt(f'{what} {hidden} in a namespace', lambda: shell(f"unshare --user --map-root-user --mount sh -c '{script}' 2>/dev/null"))
attempt('a new /proc in a namespace', lambda: shell(f'{IN_NAMESPACE} sh -c "ls -d /proc/{known["processes"][0]}"'))
attempt('write where it is read-only, in a namespace', lambda: shell(
    f"unshare --user --map-root-user --mount sh -c 'mount -o remount,rw,bind {known['home']}; mount -o remount,rw / ; echo x > {known['home']}/planted && echo planted' 2>/dev/null"))

# The newer calls that mount: what covers a hidden place came from outside, and is locked here.
MOUNTS = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
hidden, secret = sys.argv[1], sys.argv[2]
def seen(path):
    try:
        with open(path) as file: return secret in file.read()
    except OSError: return False
def tell(how, path):
    if seen(path): print(how)
for flags in [1, 0x8001]:
    tree = libc.syscall(428, -100, b'/', flags)
    if tree >= 0:
        tell('open_tree %x' % flags, f'/proc/self/fd/{tree}{hidden}')
        os.makedirs('/tmp/t', exist_ok=True)
        if libc.syscall(429, tree, b'', -100, b'/tmp/t', 4) == 0:
            libc.umount2(('/tmp/t' + os.path.dirname(hidden)).encode(), 2)
            tell('move_mount %x' % flags, '/tmp/t' + hidden)
for name in [hidden, os.path.dirname(hidden)]:
    if libc.syscall(429, -100, name.encode(), -100, b'/tmp/t', 0) == 0: tell('moved away', hidden)
    libc.syscall(442, -100, name.encode(), 0, struct.pack('QQQQ', 0, 1, 0, 0), 32)
    libc.umount2(name.encode(), 2); tell('umount2', hidden)
for lower in [b'/', os.path.dirname(os.path.dirname(hidden)).encode()]:
    layers = libc.syscall(430, b'overlay', 0)
    if layers >= 0:
        libc.syscall(431, layers, 1, b'lowerdir+', lower, 0); libc.syscall(431, layers, 1, b'lowerdir+', b'/etc', 0)
        if libc.syscall(431, layers, 6, 0, 0, 0) == 0:
            mount = libc.syscall(432, layers, 0, 0)
            tell('overlay', f'/proc/self/fd/{mount}{hidden[len(lower) if lower != b"/" else 0:]}')
for kind in [b'ext4', b'xfs', b'btrfs', b'vfat', b'devtmpfs', b'debugfs', b'tracefs', b'nfs']:
    made = libc.syscall(430, kind, 0)
    if made >= 0:
        libc.syscall(431, made, 1, b'source', b'/dev/vda', 0)
        if libc.syscall(431, made, 6, 0, 0, 0) == 0: print('a file system of type', kind)
for number in range(1, 65):
    # ext4 takes 0 for any generation: type 1 is a number and a generation.
    handle = struct.pack('IiII', 8, 1, number, 0)
    for place in [b'/', b'/etc']:
        top = os.open(place, os.O_RDONLY)
        found = libc.syscall(NUMBER, top, handle, os.O_DIRECTORY)
        if found >= 0 and os.path.exists(f'/proc/self/fd/{found}{hidden}'): tell('a handle', f'/proc/self/fd/{found}{hidden}')
        os.close(top)
""".replace('NUMBER', '304' if MACHINE else '265')
for hidden in known['hidden']:
    for program in ['unshare --user --map-root-user --mount', 'unshare --user --map-root-user --mount --pid --fork --cgroup --net --ipc']:
        attempt(f'mount calls around {hidden}, {program.count("--")} namespaces', lambda: (
            lambda done: done.stdout.strip() or None)(subprocess.run(
                [*program.split(), sys.executable, '-c', MOUNTS, hidden, known['secret']], capture_output=True, text=True, timeout=60)))
# 0 is a process outside of ours: bwrap, which waits; another one would be hoop or the person's.
attempt('stop or kill what is in the cgroup outside, by a namespace of its own', lambda: shell(
    "unshare --user --map-root-user --mount --cgroup sh -c 'mkdir /tmp/c && mount -t cgroup2 none /tmp/c && cd /tmp/c && test -w cgroup.procs && test $(grep -cw 0 cgroup.procs) -gt 1 && echo cgroup.kill' 2>/dev/null"))
attempt('hidden files by another mount of the same', lambda: [p for p in known['aliases'] if secret_in(p)] or None)

run, state = os.environ['HOOP_RUN_DIR'], known['state']


def context(headers):
    """What hoop says outside, on the socket for prompts, to who has not the token or is a page."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(f'{run}/context.sock')
        client.sendall(f'GET /v1/status HTTP/1.1\r\nConnection: close\r\n{headers}\r\n\r\n'.encode())
        reply = client.recv(4096)
        return reply if b' 200 ' in reply.split(b'\r\n')[0] else None


TOKEN = f'Authorization: Bearer {os.environ["HOOP_CONTEXT_TOKEN"]}'
attempt('ask for the context without its token', lambda: context('Host: localhost'))
attempt('ask for the context as a page of a browser', lambda: context(f'Host: localhost\r\nOrigin: http://localhost\r\n{TOKEN}'))
attempt('ask for the context by another name', lambda: context(f'Host: example.com\r\n{TOKEN}'))
for directory in filter(os.path.isdir, [run, *glob.glob(f'{state}/runs/*')]):
    attempt(f'leave {os.path.basename(directory)} by its parent', lambda: [
        n for n in os.listdir(os.path.dirname(directory)) if n != os.path.basename(directory)] or None)
    for name in ['tokens.lock', 'tokens.json', 'config.json', 'trust.json', 'owner', 'sessions', 'runs', 'trust.lock', 'config.lock', 'pgpass', 'pg_service.conf', 'briefing.md', 'context.token', 'run.json', 'ca.pem']:
        # What hoop writes or removes outside must not go over it: looked at after the run.
        subprocess.run(['rm', '-rf', f'{directory}/{name}'])
        os.symlink(known['trap'], f'{directory}/{name}')
if os.fork() == 0:
    os.setsid()
    for number in [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]:
        signal.signal(number, signal.SIG_IGN)
    for descriptor in range(3):
        os.close(descriptor)
    if os.fork() == 0:
        open('outlives', 'w').write('started')
        os.execvp('sleep', ['sleep', known['marker']])
