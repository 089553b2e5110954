/** Checks 10 to 13: the contents, chunk by chunk, and the cuts that both sides signed over them. */

import { createSecretKey } from 'node:crypto';
import { FormatError } from '../../format-error.ts';
import type { BundleContents } from '../bundle/bundle-contents.ts';
import { type ChunkMember, readMember } from '../bundle/bundle-members.ts';
import { lostText } from '../client/repair.ts';
import { type ChunkPlace, describePlace, leafHash } from '../formats/chunk.ts';
import { chunkPlaces } from '../formats/chunk-map.ts';
import { counted } from '../formats/counted.ts';
import { ackSigningBytes, cutSigningBytes, NO_POINT, rootOf, signatureOf } from '../formats/cut.ts';
import { sameBytes, toHex } from '../formats/encoding.ts';
import type { ManifestCut } from '../formats/manifest.ts';
import { CompactRange, HASH_LENGTH } from '../formats/merkle-tree.ts';
import type { RecordingPoint, StreamOffsets } from '../formats/types.ts';
import { verifyEd25519 } from '../keys/ed25519.ts';
import type { VerifyReport } from './verify-report.ts';

/** As many as fit a bundle of the largest size that we write. */
const MAX_CHUNKS = 1 << 24;
/** How far to look for the chunk that a member is, when it is not the one that belongs there. */
const LOOK_AHEAD = 256;
/** All looking ahead together: hashing is not free. */
const MAX_LOOKS = 10_000;

/** @param points where the gateway's recording stood at each cut, as far as that is known */
export function verifyChunks(
  contents: BundleContents,
  points: readonly RecordingPoint[],
  report: VerifyReport,
): void {
  const { manifest, keys } = contents;
  let places: ChunkPlace[];
  try {
    places = chunkPlaces(manifest.cuts, Math.min(MAX_CHUNKS, maxChunks(manifest.cuts)));
  } catch (error) {
    if (!(error instanceof FormatError)) {
      throw error;
    }
    report.add('cuts', 'failed', error.message);
    return;
  }
  const found =
    keys === undefined ? keptLeaves(contents, places) : matchChunks(contents, keys.saltKey, places);
  if (keys === undefined) {
    report.add('chunks', 'incomplete', 'not checked: the keys of this session were erased');
  } else if (found !== undefined) {
    concludeChunks(found, places, report);
  }
  if (found === undefined) {
    return;
  }
  const tree = growTree(found.leaves, manifest.cuts);
  verifyTree(contents, places, found, tree, report);
  verifyStreams(contents, report);
  verifyCuts(contents, tree, points, report);
}

/** Of a recording whose keys were erased the leaves are what is left of the contents. */
function keptLeaves(
  { members, source }: BundleContents,
  places: readonly ChunkPlace[],
): FoundChunks | undefined {
  const member = members.named.get('leaves');
  if (member?.size !== places.length * HASH_LENGTH) {
    return undefined;
  }
  const bytes = readMember(source, member);
  const leaves = places.map((_, at) => bytes.subarray(at * HASH_LENGTH, (at + 1) * HASH_LENGTH));
  return { leaves, altered: [], missing: [], unexpected: [] };
}

interface FoundChunks {
  /** What the bytes give, by place; undefined: missing. */
  readonly leaves: (Uint8Array | undefined)[];
  readonly altered: number[];
  readonly missing: number[];
  /** Members that are no chunk of this session. */
  readonly unexpected: ChunkMember[];
}

/** Walks members and places together; a dropped chunk must not make all later ones look wrong. */
function matchChunks(
  { members, source }: BundleContents,
  saltKey: Uint8Array,
  places: readonly ChunkPlace[],
): FoundChunks {
  const key = createSecretKey(saltKey);
  const found: FoundChunks = {
    leaves: [],
    altered: [],
    missing: [],
    unexpected: [],
  };
  let looks = 0;
  let next = 0;
  for (const member of members.chunks) {
    const bytes = readMember(source, member);
    const fits = (index: number): boolean => {
      const place = places[index];
      return place?.length === bytes.length && toHex(leafHash(key, place, [bytes])) === member.leaf;
    };
    const place = places[next];
    if (place === undefined) {
      found.unexpected.push(member);
      continue;
    }
    let at = next;
    if (!fits(at)) {
      const end = Math.min(places.length, next + LOOK_AHEAD);
      do {
        at += 1;
        looks += 1;
      } while (at < end && looks < MAX_LOOKS && !fits(at));
      if (at >= end || looks >= MAX_LOOKS) {
        found.altered.push(next);
        found.leaves[next] =
          place.length === bytes.length ? leafHash(key, place, [bytes]) : undefined;
        next += 1;
        continue;
      }
    }
    for (; next < at; next += 1) {
      found.missing.push(next);
    }
    found.leaves[at] = Buffer.from(member.leaf, 'hex');
    next = at + 1;
  }
  for (; next < places.length; next += 1) {
    found.missing.push(next);
  }
  return found;
}

function concludeChunks(
  found: FoundChunks,
  places: readonly ChunkPlace[],
  report: VerifyReport,
): void {
  const name = (index: number): string => {
    const place = places[index];
    return place === undefined ? `chunk ${index}` : `chunk ${index} (${describePlace(place)})`;
  };
  const problems = [
    ...found.altered.map((index) => `${name(index)} was altered`),
    ...found.missing.map((index) => `${name(index)} is missing`),
    ...found.unexpected.map((member) => `unexpected member "${member.name}"`),
  ];
  report.conclude('chunks', problems, `${counted(places.length, 'chunk')}, as signed`);
}

/** The tree after each cut, as far as leaves are there. */
interface GrownTree {
  readonly roots: (Uint8Array | undefined)[];
  readonly sizes: number[];
}

function growTree(
  leaves: readonly (Uint8Array | undefined)[],
  cuts: readonly ManifestCut[],
): GrownTree {
  const tree = new CompactRange();
  const roots: (Uint8Array | undefined)[] = [];
  const sizes: number[] = [];
  let at = 0;
  let isWhole = true;
  for (const cut of cuts) {
    for (; at < cut.treeSize && isWhole; at += 1) {
      const leaf = leaves[at];
      isWhole = leaf !== undefined;
      if (leaf !== undefined) {
        tree.append(leaf);
      }
    }
    roots.push(isWhole && at === cut.treeSize ? tree.root() : undefined);
    sizes.push(tree.size);
  }
  return { roots, sizes };
}

function verifyTree(
  { manifest, members }: BundleContents,
  places: readonly ChunkPlace[],
  found: FoundChunks,
  tree: GrownTree,
  report: VerifyReport,
): void {
  const problems: string[] = [];
  if (manifest.treeSize !== places.length) {
    problems.push(
      `manifest counts ${counted(manifest.treeSize, 'chunk')}, its cuts ${places.length}`,
    );
  }
  if (found.missing.length > 0) {
    const have = members.chunks.length - found.unexpected.length;
    problems.push(`recording is truncated: ${have} of ${counted(places.length, 'chunk')}`);
  }
  const root = manifest.cuts.length === 0 ? new CompactRange().root() : tree.roots.at(-1);
  if (root === undefined || !sameBytes(root, manifest.root)) {
    problems.push('the chunks do not produce the signed root');
  }
  report.conclude(
    'tree',
    problems,
    `root ${toHex(manifest.root).slice(0, 16)} of ${places.length}`,
  );
}

function verifyStreams({ manifest }: BundleContents, report: VerifyReport): void {
  const last = new Map<number, StreamOffsets>();
  for (const cut of manifest.cuts) {
    for (const offsets of cut.streams) {
      last.set(offsets.stream, offsets);
    }
  }
  const problems: string[] = [];
  let previous = -1;
  for (const { stream, up, down } of manifest.streams) {
    const covered = last.get(stream) ?? { up: 0, down: 0 };
    if (stream <= previous) {
      problems.push('streams are not in order');
    }
    if (up !== covered.up) {
      problems.push(`gap in stream ${stream} up`);
    }
    if (down !== covered.down) {
      problems.push(`gap in stream ${stream} down`);
    }
    previous = stream;
    last.delete(stream);
  }
  for (const stream of last.keys()) {
    problems.push(`stream ${stream} is not listed`);
  }
  const bytes = manifest.streams.reduce((sum, { up, down }) => sum + up + down, 0);
  const text = `${counted(bytes, 'byte')} in ${counted(manifest.streams.length, 'stream')}, without gaps`;
  if (problems.length === 0 && manifest.lost.length > 0) {
    report.add('streams', 'incomplete', manifest.lost.map(lostText).join('; '));
    return;
  }
  report.conclude('streams', problems, text);
}

function verifyCuts(
  contents: BundleContents,
  tree: GrownTree,
  points: readonly RecordingPoint[],
  report: VerifyReport,
): void {
  const { manifest } = contents;
  const problems: string[] = [];
  let previousSize = 0;
  let unknown: number | undefined;
  for (const [index, cut] of manifest.cuts.entries()) {
    const root = tree.roots[index];
    if (cut.treeSize <= previousSize) {
      problems.push(`cut ${cut.epoch} adds no chunk`);
    } else if (root === undefined) {
      problems.push(`the root of cut ${cut.epoch} cannot be computed`);
    } else if (!sameBytes(root, rootOf(cut.root))) {
      problems.push(
        index === 0 ? 'sides disagree from the first cut' : `sides disagree after cut ${index - 1}`,
      );
    }
    previousSize = cut.treeSize;
    if (cut.client === undefined && index < manifest.cuts.length - 1) {
      problems.push(`cut ${cut.epoch} has no client signature and is not the last`);
    }
    const point = points[index];
    const previous = index === 0 ? NO_POINT : points[index - 1];
    if (point === undefined || previous === undefined) {
      unknown ??= cut.epoch;
    } else {
      problems.push(...badSignatures(contents, cut, previous, point));
    }
  }
  if (problems.length === 0 && unknown !== undefined) {
    const text = `the signatures of cut ${unknown} cannot be checked: the events do not reach it`;
    report.add('cuts', 'incomplete', text);
    return;
  }
  const total = manifest.cuts.length;
  const alone = manifest.cuts.find(({ client }) => client === undefined);
  if (problems.length === 0 && alone !== undefined) {
    report.add('cuts', 'incomplete', unconfirmedText(alone.epoch, total));
    return;
  }
  report.conclude('cuts', problems, `${counted(total, 'cut')}, each signed by both sides`);
}

function unconfirmedText(epoch: number, total: number): string {
  return epoch === 0
    ? 'the client confirmed nothing: gateway only'
    : `client signed ${epoch} of ${total} cuts: two-sided up to cut ${epoch}, then gateway only`;
}

function badSignatures(
  { manifest, certificate }: BundleContents,
  cut: ManifestCut,
  previous: RecordingPoint,
  point: RecordingPoint,
): string[] {
  const { session } = manifest;
  const { epoch, treeSize, client, gateway } = cut;
  const root = rootOf(cut.root);
  const problems: string[] = [];
  if (client !== undefined) {
    const { timeMs, signature } = client;
    const message = cutSigningBytes(session, { epoch, treeSize, root, timeMs }, previous);
    if (!verifyEd25519(certificate.clientKey, message, signatureOf(signature))) {
      problems.push(`the client's signature of cut ${epoch} does not match`);
    }
  }
  const { timeMs, signature } = gateway;
  const kind = client === undefined ? 'tail' : 'ack';
  const message = ackSigningBytes(kind, session, { epoch, treeSize, root, timeMs }, point);
  if (!verifyEd25519(certificate.gatewayKey, message, signatureOf(signature))) {
    problems.push(`the gateway's signature of cut ${epoch} does not match`);
  }
  return problems;
}

/** What the manifest itself counts, so that no list is made that it does not claim. */
function maxChunks(cuts: readonly ManifestCut[]): number {
  return cuts.at(-1)?.treeSize ?? 0;
}
