/**
 * The journal of a session that has ended, or whose process was killed, read back and checked: what
 * both sides have signed, and how far this side could still sign.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../error-code.ts';
import { FormatError } from '../../format-error.ts';
import { CutLedger } from '../cuts/cut-ledger.ts';
import { CHUNK_BYTES, type ChunkPlace } from '../formats/chunk.ts';
import { decodeRecordedCut } from '../formats/cut.ts';
import { toBase64 } from '../formats/encoding.ts';
import {
  decodeLeaves,
  decodeProposed,
  encodeJournalRecord,
  JOURNAL_FILE,
  type JournalRecord,
  journalHeader,
  journalPartName,
  openFileHeader,
  openFileName,
  readJournalRecords,
} from '../formats/journal-records.ts';
import { sha256 } from '../formats/manifest.ts';
import { HASH_LENGTH } from '../formats/merkle-tree.ts';
import {
  type AgreedCut,
  type CutProposal,
  type Direction,
  DOWN,
  type StreamOffsets,
} from '../formats/types.ts';
import { readPrivateFile } from '../keys/private-file.ts';
import type { LeafPoint } from '../write/running-leaves.ts';
import { syncDirectory } from '../write/segment-writer.ts';
import { SpoolInUse } from './spool.ts';

export interface ProposedCut {
  readonly proposal: CutProposal;
  /** 32 bytes for each chunk. */
  readonly leaves: Uint8Array;
}

export interface OpenedJournal {
  readonly agreed: readonly AgreedCut[];
  /** Signed by this side, and no answer recorded. */
  readonly proposed: ProposedCut | undefined;
  /** After the agreed cuts. */
  readonly ledger: CutLedger;
  /** Beyond the last cut in the journal, proposed or agreed. */
  readonly points: JournalPoints;
  /**
   * What the gateway must have: up as far as it had said so when this side signed, down as far as it
   * has come here, whichever cut that was for.
   */
  readonly owed: readonly StreamOffsets[];
  /** Of all records. */
  readonly sha256: Uint8Array;
  /** How many there are. */
  readonly records: number;
}

/** @throws FormatError when the journal is not what this side has written */
export function openJournal(directory: string, session: string): OpenedJournal {
  const { records, bytes } = readRecords(directory, session);
  const ledger = new CutLedger();
  const agreed: AgreedCut[] = [];
  let proposed: ProposedCut | undefined;
  for (const record of records) {
    if (record.type === 'proposed' && proposed === undefined) {
      proposed = proposedOf(record);
    } else if (record.type === 'agreed' && proposed !== undefined) {
      agreed.push(agreedOf(record, proposed));
      commit(ledger, proposed);
      proposed = undefined;
    } else {
      throw new FormatError('the journal of the session has a cut where none belongs');
    }
  }
  const epoch = ledger.epoch + (proposed === undefined ? 0 : 1);
  const leaves = [0, 1].flatMap((parity) => readLeaves(directory, session, parity));
  const cuts = [
    ...agreed.map(({ proposal }) => proposal),
    ...(proposed ? [proposed.proposal] : []),
  ];
  return {
    agreed,
    proposed,
    ledger,
    points: new JournalPoints(leaves.filter(({ place }) => place.epoch === epoch)),
    owed: [...cuts.flatMap(({ streams }) => streams), ...leaves.map(arrivedOf)],
    sha256: sha256(bytes),
    records: records.length,
  };
}

/**
 * Adds to a journal whose session is over. Only one process can add a certain record: none signs
 * another cut of a number that one has signed already.
 * @throws SpoolInUse when another one has been faster
 */
export async function appendToJournal(
  directory: string,
  journal: Pick<OpenedJournal, 'records'>,
  record: JournalRecord,
): Promise<void> {
  const path = join(directory, journalPartName(journal.records));
  // Of a name that nobody else has: in another container the number of a process is no name.
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  writeFileSync(temporary, encodeJournalRecord(record), { mode: 0o600, flush: true });
  try {
    // Whole or not at all, and never in the place of another.
    linkSync(temporary, path);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') {
      throw new SpoolInUse();
    }
    throw error;
  } finally {
    unlinkSync(temporary);
  }
  await syncDirectory(directory);
}

/** The process of the session writes one file; each record of an upload is a file of its own. */
function readRecords(
  directory: string,
  session: string,
): { readonly records: readonly JournalRecord[]; readonly bytes: Uint8Array } {
  const header = journalHeader(session);
  const file = readPrivateFile(join(directory, JOURNAL_FILE)) ?? new Uint8Array(0);
  const { records, length, isDamaged } = readJournalRecords(file, header);
  const parts = [file.subarray(0, length)];
  const all = [...records];
  for (;;) {
    const part = readPrivateFile(join(directory, journalPartName(all.length)));
    if (part === undefined) {
      break;
    }
    const read = readJournalRecords(Buffer.concat([header, part]), header);
    if (read.records.length !== 1 || read.length !== header.length + part.length) {
      throw damaged();
    }
    all.push(...read.records);
    parts.push(part);
  }
  if (isDamaged) {
    throw damaged();
  }
  return { records: all, bytes: Buffer.concat(parts) };
}

function damaged(): FormatError {
  return new FormatError('the journal of the session is damaged');
}

function arrivedOf({ place: { stream, direction, offset, length } }: LeafPoint): StreamOffsets {
  return { stream, up: 0, down: direction === DOWN ? offset + length : 0 };
}

/** Leaves that were journalled before their bytes went on, by where they end. */
export class JournalPoints {
  readonly #tracks = new Map<number, Map<number, LeafPoint>>();

  constructor(points: readonly LeafPoint[]) {
    for (const point of points) {
      const { stream, direction, offset, length } = point.place;
      const key = keyOf(stream, direction);
      const track = this.#tracks.get(key) ?? new Map<number, LeafPoint>();
      this.#tracks.set(key, track.set(offset + length, point));
    }
  }

  /** How far each stream went that has moved since the last cut. */
  offsets(): StreamOffsets[] {
    const streams = new Set([...this.#tracks.keys()].map((key) => Math.floor(key / 2)));
    return [...streams]
      .sort((left, right) => left - right)
      .map((stream) => ({
        stream,
        up: this.#farthest(stream, 0),
        down: this.#farthest(stream, 1),
      }));
  }

  /** The last place up to `limit` at which a cut could end; `from` when there is none. */
  reach(stream: number, direction: Direction, from: number, limit: number): number {
    let reached = from;
    for (const end of this.#tracks.get(keyOf(stream, direction))?.keys() ?? []) {
      reached = end <= limit ? Math.max(reached, end) : reached;
    }
    return reached;
  }

  /** @throws FormatError for a chunk that was not journalled */
  leaves(places: readonly ChunkPlace[]): Uint8Array {
    const leaves = new Uint8Array(places.length * HASH_LENGTH);
    for (const [index, { epoch, stream, direction, offset, length }] of places.entries()) {
      const point = this.#tracks.get(keyOf(stream, direction))?.get(offset + length);
      if (point?.place.offset !== offset || point.place.epoch !== epoch) {
        throw new FormatError('the journal of the session lacks a leaf');
      }
      leaves.set(point.leaf, index * HASH_LENGTH);
    }
    return leaves;
  }

  #farthest(stream: number, direction: Direction): number {
    return this.reach(stream, direction, 0, Number.MAX_SAFE_INTEGER);
  }
}

function readLeaves(directory: string, session: string, parity: number): LeafPoint[] {
  const bytes = readPrivateFile(join(directory, openFileName(parity))) ?? new Uint8Array(0);
  // Not synced before each byte goes on: without power it may end anywhere, or be that of an older cut.
  const { records } = readJournalRecords(bytes, openFileHeader(session));
  return records
    .filter(({ type }) => type === 'leaves')
    .flatMap(({ body }) => decodeLeaves(body))
    .filter(({ place }) => endsInOneChunk(place));
}

function endsInOneChunk({ offset, length }: ChunkPlace): boolean {
  return length > 0 && (offset % CHUNK_BYTES) + length <= CHUNK_BYTES;
}

function proposedOf({ body }: JournalRecord): ProposedCut {
  const { cut: signed, leaves } = decodeProposed(body);
  const cut = decodeRecordedCut(signed);
  if (cut.type !== 'proposed') {
    throw notProposed();
  }
  return { proposal: cut.proposal, leaves };
}

function agreedOf({ body }: JournalRecord, { proposal }: ProposedCut): AgreedCut {
  const cut = decodeRecordedCut(body);
  if (cut.type !== 'agreed' || cut.proposal.signature !== proposal.signature) {
    throw notProposed();
  }
  return { proposal: cut.proposal, ack: cut.ack };
}

/** @throws FormatError when the leaves do not give the root that this side has signed */
function commit(ledger: CutLedger, { proposal, leaves }: ProposedCut): void {
  const plan = ledger.plan(proposal.streams);
  const result = ledger.evaluate(plan, leaves);
  if (
    proposal.epoch !== plan.epoch ||
    result.treeSize !== proposal.treeSize ||
    toBase64(result.root) !== proposal.root
  ) {
    throw new FormatError(`the journal does not give the root of cut ${proposal.epoch}`);
  }
  ledger.commit(plan, result);
}

function notProposed(): FormatError {
  return new FormatError('the journal of the session has a cut that is not the one proposed');
}

function keyOf(stream: number, direction: Direction): number {
  return 2 * stream + direction;
}
