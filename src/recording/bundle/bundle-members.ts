/**
 * The members of a bundle, by name and in this order. The tlog proofs have their places, and so have
 * the leaves of a recording whose keys were erased.
 */

import { CutOffError, FormatError } from '../../format-error.ts';
import {
  decodeTarHeader,
  TAR_BLOCK,
  TAR_END_LENGTH,
  tarMemberLength,
  tarPadding,
} from '../formats/tar.ts';
import type { BundleSource } from './bundle-source.ts';

const MEMBER_ORDER = [
  'manifest.dsse',
  'cert.dsse',
  'open.tlog-proof',
  'close.tlog-proof',
  'keyring.note',
  'events',
  'leaves',
  'keys',
] as const;
export type MemberName = (typeof MEMBER_ORDER)[number];

const PLACES: ReadonlyMap<string, number> = new Map(
  MEMBER_ORDER.map((name, place) => [name, place]),
);
const REQUIRED: readonly MemberName[] = ['manifest.dsse', 'cert.dsse', 'keyring.note'];

/** Sizes above these are refused before anything is read. */
const LIMITS: Readonly<Record<MemberName, number>> = {
  'manifest.dsse': 16 << 20,
  'cert.dsse': 64 << 10,
  'open.tlog-proof': 1 << 20,
  'close.tlog-proof': 1 << 20,
  'keyring.note': 1 << 20,
  events: 0o77777777777,
  leaves: 1 << 30,
  keys: 4096,
};
const MAX_CHUNK = 65_536;
const CHUNK_NAME = /^chunks\/([0-9a-f]{64})$/;

export interface Member {
  readonly name: string;
  /** Of the content. */
  readonly offset: number;
  readonly size: number;
}

export interface ChunkMember extends Member {
  /** Hex, from the name. */
  readonly leaf: string;
}

export interface BundleMembers {
  readonly named: ReadonlyMap<MemberName, Member>;
  /** In the order of the archive. */
  readonly chunks: readonly ChunkMember[];
}

/** Whether a bundle could have a member of this name. */
export function isMemberName(name: string): boolean {
  return PLACES.has(name) || CHUNK_NAME.test(name);
}

/** Finds the members and checks names, order, sizes, padding and end. @throws FormatError */
export function listMembers(source: BundleSource): BundleMembers {
  const named = new Map<MemberName, Member>();
  const chunks: ChunkMember[] = [];
  const seen = new Set<string>();
  let place = 0;
  let at = 0;
  for (;;) {
    const header = decodeTarHeader(take(source, at, TAR_BLOCK));
    if (header === undefined) {
      break;
    }
    const { name, size } = header;
    const member = { name, offset: at + TAR_BLOCK, size };
    if (seen.has(name)) {
      throw new FormatError(`duplicate member "${name}"`);
    }
    seen.add(name);
    const leaf = CHUNK_NAME.exec(name)?.[1];
    if (leaf !== undefined) {
      checkSize(name, size, MAX_CHUNK);
      chunks.push({ ...member, leaf });
      place = MEMBER_ORDER.length;
    } else {
      const known = PLACES.get(name);
      const entry = known === undefined ? undefined : MEMBER_ORDER[known];
      if (known === undefined || entry === undefined) {
        throw new FormatError(`unexpected member "${name}"`);
      }
      if (known < place) {
        throw new FormatError(`member "${name}" is not in its place`);
      }
      checkSize(name, size, LIMITS[entry]);
      named.set(entry, member);
      place = known + 1;
    }
    checkZeros(source, at + TAR_BLOCK + size, tarPadding(size), name);
    at += tarMemberLength(size);
  }
  checkEnd(source, at);
  for (const name of REQUIRED) {
    if (!named.has(name)) {
      throw new FormatError(`member "${name}" is missing`);
    }
  }
  return { named, chunks };
}

export function readMember(source: BundleSource, member: Member): Uint8Array {
  return take(source, member.offset, member.size);
}

function checkEnd(source: BundleSource, at: number): void {
  checkZeros(source, at, TAR_END_LENGTH, 'the end');
  if (source.size !== at + TAR_END_LENGTH) {
    throw new FormatError(`${source.size - at - TAR_END_LENGTH} bytes follow the end`);
  }
}

function checkZeros(source: BundleSource, at: number, length: number, where: string): void {
  if (!take(source, at, length).every((byte) => byte === 0)) {
    throw new FormatError(`the padding of "${where}" is not empty`);
  }
}

function checkSize(name: string, size: number, limit: number): void {
  if (size > limit) {
    throw new FormatError(`member "${name}" has ${size} bytes, more than is allowed`);
  }
}

function take(source: BundleSource, offset: number, length: number): Uint8Array {
  if (offset + length > source.size) {
    throw new CutOffError('the file ends early');
  }
  return source.read(offset, length);
}
