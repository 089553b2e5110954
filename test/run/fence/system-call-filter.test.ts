import { describe, expect, test } from 'vitest';
import { systemCallFilter } from '../../../src/run/fence/system-call-filter.ts';

const X64 = 0xc000003e;
const ARM64 = 0xc00000b7;
const ALLOWED = 0x7fff0000;
const refused = (errno: number): number => 0x00050000 + errno;

/** The kernel's interpreter for the few instructions that the filter uses. */
function run(
  machine: string,
  call: { arch: number; nr: number; args?: readonly bigint[] },
): number | undefined {
  const program = systemCallFilter(machine);
  if (program === undefined) {
    return undefined;
  }
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr, 0);
  data.writeUInt32LE(call.arch, 4);
  for (const [index, value] of (call.args ?? []).entries()) {
    data.writeBigUInt64LE(value, 16 + index * 8);
  }
  let accumulator = 0;
  for (let index = 0; index < program.length / 8; index += 1) {
    const at = index * 8;
    const code = program.readUInt16LE(at);
    const value = program.readUInt32LE(at + 4);
    if (code === 0x20) {
      accumulator = data.readUInt32LE(value);
    } else if (code === 0x06) {
      return value;
    } else if (code === 0x15 || code === 0x35) {
      const isTrue = code === 0x15 ? accumulator === value : accumulator >= value;
      index += program.readUInt8(at + (isTrue ? 2 : 3));
    } else {
      throw new Error(`unknown instruction ${code}`);
    }
  }
  throw new Error('the program does not end');
}

describe('the filter', () => {
  test('lets ordinary calls through', () => {
    expect(run('x64', { arch: X64, nr: 0 })).toBe(ALLOWED);
    expect(run('x64', { arch: X64, nr: 59 })).toBe(ALLOWED);
    expect(run('arm64', { arch: ARM64, nr: 221 })).toBe(ALLOWED);
  });

  test.each([
    ['x64', X64, 16],
    ['arm64', ARM64, 29],
  ])(
    'on %s lets nobody type into the terminal, also with bits that the kernel ignores',
    (machine, arch, nr) => {
      const ioctl = (request: bigint) => run(machine, { arch, nr, args: [0n, request] });
      expect(ioctl(0x5412n)).toBe(refused(1));
      expect(ioctl(0x541cn)).toBe(refused(1));
      // CVE-2019-10063: the kernel takes the lower half only.
      expect(ioctl(0x5412n | (1n << 32n))).toBe(refused(1));
      // TIOCGWINSZ, TCGETS: terminals work.
      expect(ioctl(0x5413n)).toBe(ALLOWED);
      expect(ioctl(0x5401n)).toBe(ALLOWED);
    },
  );

  test.each([
    ['x64', X64, 41],
    ['arm64', ARM64, 198],
  ])('on %s has sockets of the usual families only', (machine, arch, nr) => {
    const socket = (family: bigint) => run(machine, { arch, nr, args: [family, 1n] });
    expect([1n, 2n, 10n, 16n].map(socket)).toEqual([ALLOWED, ALLOWED, ALLOWED, ALLOWED]);
    // vsock, Bluetooth, AF_ALG, packet
    expect([40n, 31n, 38n, 17n].map(socket)).toEqual(Array(4).fill(refused(97)));
  });

  test('keeps the kernel’s keyrings, io_uring and other instruction sets out', () => {
    expect([248, 249, 250].map((nr) => run('x64', { arch: X64, nr }))).toEqual(
      Array(3).fill(refused(1)),
    );
    expect([217, 218, 219].map((nr) => run('arm64', { arch: ARM64, nr }))).toEqual(
      Array(3).fill(refused(1)),
    );
    expect(run('x64', { arch: X64, nr: 425 })).toBe(refused(38));
    // i386 on x86-64, and x32.
    expect(run('x64', { arch: 0x40000003, nr: 54 })).toBe(refused(38));
    expect(run('x64', { arch: X64, nr: 0x40000000 + 514 })).toBe(refused(38));
  });

  test('is not there for machines whose calls it does not know', () => {
    expect(systemCallFilter('riscv64')).toBeUndefined();
  });
});
