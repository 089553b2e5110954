import { listMembers } from '../../src/recording/bundle/bundle-members.ts';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { encodeTarHeader, TAR_END_LENGTH, tarPadding } from '../../src/recording/formats/tar.ts';

export type Members = [name: string, bytes: Uint8Array][];

/** The members of a bundle, in their order. */
export function membersOf(bytes: Uint8Array): Members {
  const { named, chunks } = listMembers(bytesSource(bytes));
  return [...named.values(), ...chunks].map(({ name, offset, size }) => [
    name,
    bytes.subarray(offset, offset + size),
  ]);
}

/** A bundle of these, whatever they are. */
export function bundleOf(members: Members): Buffer {
  return Buffer.concat([
    ...members.flatMap(([name, bytes]) => [
      encodeTarHeader(name, bytes.length),
      bytes,
      new Uint8Array(tarPadding(bytes.length)),
    ]),
    new Uint8Array(TAR_END_LENGTH),
  ]);
}
