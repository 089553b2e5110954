/**
 * The seccomp filter of a fenced child: what namespaces do not keep apart.
 *
 *   ioctl TIOCSTI, TIOCLINUX   typing into the terminal that the child shares with the person's
 *                              shell (CVE-2017-5226); a session of its own would keep that out as
 *                              well, but take job control and window sizes with it
 *   keyctl, add_key, …         the kernel's keyrings follow the user, not the namespace
 *   socket                     families that no network namespace holds (vsock to the host of a
 *                              virtual machine), and all others that programs do not use
 *   io_uring                   makes sockets without a system call that a filter could see
 *   other instruction sets     have other numbers for all of this
 *
 * https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html; the program is classic
 * BPF on struct seccomp_data {int nr; u32 arch; u64 instruction_pointer; u64 args[6]}.
 */

/** From linux/audit.h and the tables of system calls (arch/x86/entry, asm-generic/unistd.h). */
const MACHINES = {
  x64: { audit: 0xc000003e, ioctl: 16, socket: 41, refused: [248, 249, 250] },
  arm64: { audit: 0xc00000b7, ioctl: 29, socket: 198, refused: [217, 218, 219] },
} as const satisfies Record<
  string,
  { audit: number; ioctl: number; socket: number; refused: readonly number[] }
>;

/** io_uring_setup, _enter, _register: the same on all machines. */
const IO_URING = [425, 426, 427];
/** Numbers from here on are x32's on x86-64 (__X32_SYSCALL_BIT), and nobody's elsewhere. */
const FOREIGN_NUMBERS = 0x40000000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. */
const FAMILIES = [0, 1, 2, 10, 16];

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const OFFSET_NR = 0;
const OFFSET_ARCH = 4;
/** The low half on a little-endian machine; the kernel reads no more of these arguments either. */
const OFFSET_ARG0 = 16;
const OFFSET_ARG1 = 24;

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_OR_EQUAL = 0x35;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const FAIL_WITH = 0x00050000;

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

/** @returns undefined: there is no filter for this machine (`process.arch`). */
export function systemCallFilter(machine: string): Buffer | undefined {
  if (machine !== 'x64' && machine !== 'arm64') {
    return undefined;
  }
  const { audit, ioctl, socket, refused } = MACHINES[machine];
  return assemble([
    [LOAD, 0, 0, OFFSET_ARCH],
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, FAIL_WITH | ENOSYS],
    [LOAD, 0, 0, OFFSET_NR],
    ...when([JUMP_GREATER_OR_EQUAL, FOREIGN_NUMBERS], fail(ENOSYS)),
    ...IO_URING.flatMap((number) => when([JUMP_EQUAL, number], fail(ENOSYS))),
    ...refused.flatMap((number) => when([JUMP_EQUAL, number], fail(EPERM))),
    ...when(
      [JUMP_EQUAL, ioctl],
      [
        [LOAD, 0, 0, OFFSET_ARG1],
        ...when([JUMP_EQUAL, TIOCSTI], fail(EPERM)),
        ...when([JUMP_EQUAL, TIOCLINUX], fail(EPERM)),
        [RETURN, 0, 0, ALLOW],
      ],
    ),
    ...when(
      [JUMP_EQUAL, socket],
      [
        [LOAD, 0, 0, OFFSET_ARG0],
        ...FAMILIES.flatMap((family) => when([JUMP_EQUAL, family], [[RETURN, 0, 0, ALLOW]])),
        ...fail(EAFNOSUPPORT),
      ],
    ),
    [RETURN, 0, 0, ALLOW],
  ]);
}

function when(
  [jump, value]: readonly [number, number],
  then: readonly Instruction[],
): Instruction[] {
  return [[jump, 0, then.length, value], ...then];
}

function fail(errno: number): Instruction[] {
  return [[RETURN, 0, 0, FAIL_WITH | errno]];
}

/** struct sock_filter {u16 code; u8 jt; u8 jf; u32 k}; both machines are little-endian. */
function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, jumpTrue, jumpFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jumpTrue, index * 8 + 2);
    bytes.writeUInt8(jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
