/**
 * Appends frames to the segment files of one recording.
 *
 * Rules that everything above relies on:
 * - `append` returns after write(2): a process that dies then loses nothing that was forwarded.
 * - `synced` means fdatasync, and fsync of the directory after a file was created.
 * - An error of write or sync is final. After a failed fsync the kernel may have dropped the dirty
 *   pages and reports success the next time, so there is nothing to retry
 *   (https://wiki.postgresql.org/wiki/Fsync_Errors).
 */
import { type CipherGCM, type KeyObject, randomBytes } from 'node:crypto';
import { closeSync, fdatasync, fsync, openSync, writeSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { isWithoutDescriptors, whenDescriptorsAreFree } from '../../free-descriptors.ts';
import { freeNow } from '../../passing-buffers.ts';
import {
  type FrameType,
  frameCipher,
  type SealedFrame,
  sealFrame,
  segmentKey,
} from '../formats/frame.ts';
import { type Committed, eventKeyOf, FrameDigests } from '../formats/frame-digest.ts';
import { type ChainEnd, HeadChain } from '../formats/head-chain.ts';
import {
  encodeSegmentHeader,
  SEGMENT_HEADER_LENGTH,
  SEGMENT_SALT_LENGTH,
} from '../formats/segment-header.ts';
import type { RecordingPoint } from '../formats/types.ts';

/** Small enough to be moved and deleted in reasonable pieces. */
const SEGMENT_BYTES = 64 << 20;
/** While no descriptor is free the segment goes on, and the next one is tried after so much more … */
const TRY_NEXT_BYTES = 1 << 20;
/** … up to this. */
const MOST_SEGMENT_BYTES = 1 << 30;
/** Group commit: a sync starts this long after the first byte that waits for one … */
const SYNC_AFTER_MS = 100;
/** … or as soon as this many wait. */
export const SYNC_AFTER_BYTES = 8 << 20;

const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);

/** Time and disk, so that tests can say what they do. */
export interface RecordingSystem {
  readonly nowMs: () => number;
  /** Monotonic microseconds. */
  readonly monotonicUs: () => number;
  readonly syncData: (fd: number) => Promise<void>;
}

export const realSystem: RecordingSystem = {
  nowMs: () => Date.now(),
  monotonicUs: () => Math.floor(performance.now() * 1000),
  syncData,
};

export interface SegmentWriterOptions {
  readonly directory: string;
  readonly session: string;
  readonly dataKey: Uint8Array;
  /** Where an earlier writer of the same recording stopped; absent: a new recording. */
  readonly after?: ChainEnd & { readonly segment: number; readonly seq: number };
  /** Called once, with the error that ends this recording. */
  readonly onFailure: (error: HoopError) => void;
  /** Called when a sync begins: what has been appended when it returns … */
  readonly onSyncStart: () => void;
  /** … is safe when this is called. */
  readonly onSynced: () => void;
  readonly system?: RecordingSystem;
}

/** Of a frame that says where it stands itself: made when that is known. */
export type FrameBody = Uint8Array | ((before: RecordingPoint) => Uint8Array);

/** Where a frame lies. */
export interface FramePosition {
  readonly segment: number;
  readonly position: number;
}

export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  readonly #system: RecordingSystem;
  #fd = -1;
  /** Files that were rotated away and still wait for their last sync. */
  #full: number[] = [];
  #directoryDirty = false;
  #segment: number;
  #key: KeyObject | undefined;
  #position = 0;
  /** Where the next segment begins, if it can. */
  #nextAt = SEGMENT_BYTES;
  #seq: number;
  #syncedFrames: number;
  readonly #chain: HeadChain;
  readonly #digests: FrameDigests;
  /** For the next frame of this segment. */
  #cipher: CipherGCM | undefined;
  #startUs = 0;
  #unsyncedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  #failure: HoopError | undefined;
  #closed = false;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.#system = options.system ?? realSystem;
    this.#segment = options.after?.segment ?? 0;
    this.#seq = options.after?.seq ?? 0;
    this.#syncedFrames = this.#seq;
    this.#chain = new HeadChain(options.after);
    this.#digests = new FrameDigests(eventKeyOf(options.dataKey));
    this.#startSegment();
  }

  /** How many frames are on disk. */
  get syncedFrames(): number {
    return this.#syncedFrames;
  }

  /** A frame that is neither data nor events. @throws as `append` */
  appendOther(type: Exclude<FrameType, 'data' | 'group'>, body: FrameBody): void {
    this.assertOpen();
    // Also where the frame begins a segment: its header comes behind this point.
    const bytes =
      typeof body === 'function' ? body({ head: this.#chain.lastHead, frames: this.#seq }) : body;
    this.append(type, [bytes], [{ type, body: bytes }]);
  }

  /**
   * @param body the plain body, one part behind the other
   * @param records what is in it: several in a group
   * @throws HoopError HOOP_RECORDING_WRITE or HOOP_DISK_FULL, then and for ever after.
   */
  append(
    type: FrameType,
    body: readonly Uint8Array[],
    records: readonly Committed[],
  ): FramePosition {
    const key = this.#makeRoom();
    const seq = this.#seq;
    const timeUs = Math.max(0, this.#system.monotonicUs() - this.#startUs);
    const frame = this.#seal(key, { type, seq, timeUs }, body, records);
    const position = this.#position;
    this.#write(frame.parts, frame.length);
    this.#chain.add(frame.header);
    for (const part of frame.parts) {
      freeNow(part);
    }
    this.#seq += 1;
    this.#scheduleSync(frame.length);
    return { segment: this.#segment, position };
  }

  /** Does now what else comes with the next `append`: when nobody waits for it. */
  settle(): void {
    if (this.#key !== undefined && this.#failure === undefined && !this.#closed) {
      this.#cipher ??= frameCipher(this.#key, this.#segment, this.#seq);
    }
  }

  /** The next frame goes into the segment that is open then. @returns its key */
  #makeRoom(): KeyObject {
    const key = this.assertOpen();
    if (this.#position < this.#nextAt) {
      return key;
    }
    this.#startSegment();
    return this.assertOpen();
  }

  /** What cannot be a frame is missing for ever: nothing may be recorded behind it as if it were there. */
  #seal(
    key: KeyObject,
    { type, seq, timeUs }: Omit<Parameters<typeof sealFrame>[2], 'digest'>,
    body: readonly Uint8Array[],
    records: readonly Committed[],
  ): SealedFrame {
    const cipher = this.#cipher;
    this.#cipher = undefined;
    try {
      const digest = this.#digests.of(type, seq, records);
      return sealFrame(key, this.#segment, { type, seq, timeUs, digest }, body, cipher);
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** @returns the key of the segment. @throws as `append` */
  assertOpen(): KeyObject {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    if (this.#closed || this.#key === undefined) {
      throw new TypeError('the recording is closed');
    }
    return this.#key;
  }

  /** Resolves when everything that was appended before the call is on disk. */
  async sync(): Promise<void> {
    const frames = this.#seq;
    while (this.#syncedFrames < frames) {
      await this.#syncOnce();
    }
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }

  /** Syncs and closes. Never throws: what failed has been reported to `onFailure`. */
  async close(): Promise<void> {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    try {
      await this.sync();
    } catch (error) {
      this.fail(error);
    }
    clearTimeout(this.#timer);
    await this.#syncing?.catch(() => undefined);
    for (const fd of [...this.#full, this.#fd]) {
      closeSync(fd);
    }
    this.#full = [];
  }

  #startSegment(): void {
    const { directory, session, dataKey } = this.#options;
    const segment = this.#segment + 1;
    const startMs = this.#system.nowMs();
    const header = encodeSegmentHeader({
      session,
      segment,
      salt: randomBytes(SEGMENT_SALT_LENGTH),
      previousHead: this.#chain.head,
      startMs,
    });
    try {
      // Exclusive: two writers on one recording would use the same nonces.
      const fd = openSync(join(directory, segmentName(segment)), 'wx', 0o600);
      if (this.#fd !== -1) {
        this.#full.push(this.#fd);
      }
      this.#fd = fd;
    } catch (error) {
      if (isWithoutDescriptors(error) && this.#fd !== -1 && this.#position < MOST_SEGMENT_BYTES) {
        this.#nextAt = this.#position + TRY_NEXT_BYTES;
        return;
      }
      throw this.fail(error);
    }
    this.#nextAt = SEGMENT_BYTES;
    this.#segment = segment;
    this.#cipher = undefined;
    this.#key = segmentKey(dataKey, segment, header);
    this.#position = 0;
    this.#startUs = this.#system.monotonicUs();
    this.#directoryDirty = true;
    this.#write([header], SEGMENT_HEADER_LENGTH);
    this.#chain.startSegment(header);
  }

  #write(parts: readonly Uint8Array[], length: number): void {
    try {
      const [first] = parts;
      const written =
        parts.length === 1 && first !== undefined
          ? writeSync(this.#fd, first)
          : writevSync(this.#fd, parts);
      if (written !== length) {
        // A short write to a regular file means that the disk, the quota or the file is full: which of
        // them, the next one says.
        const rest = Buffer.concat(parts).subarray(written);
        if (writeSync(this.#fd, rest) !== rest.length) {
          throw new Error(`only a part of ${length} bytes could be written`);
        }
      }
    } catch (error) {
      throw this.fail(error);
    }
    this.#position += length;
  }

  #scheduleSync(length: number): void {
    this.#unsyncedBytes += length;
    if (this.#syncing !== undefined) {
      return;
    }
    if (this.#unsyncedBytes >= SYNC_AFTER_BYTES) {
      this.#syncInBackground();
    } else {
      this.#timer ??= setTimeout(() => this.#syncInBackground(), SYNC_AFTER_MS);
    }
  }

  #syncInBackground(): void {
    // Failures reach the owner through onFailure.
    this.#syncOnce().catch(() => undefined);
  }

  #syncOnce(): Promise<void> {
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    this.#syncing ??= this.#runSync().finally(() => {
      this.#syncing = undefined;
      if (this.#unsyncedBytes > 0 && this.#failure === undefined) {
        this.#scheduleSync(0);
      }
    });
    return this.#syncing;
  }

  async #runSync(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Now it is known to be under way: what is appended from here on begins no second one, which
    // would take from this one what its owner has to tell.
    await undefined;
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    try {
      // May still append.
      this.#options.onSyncStart();
    } catch (error) {
      throw this.fail(error);
    }
    const frames = this.#seq;
    const full = this.#full;
    const fd = this.#fd;
    const directoryDirty = this.#directoryDirty;
    this.#full = [];
    this.#directoryDirty = false;
    this.#unsyncedBytes = 0;
    try {
      for (const old of full) {
        await this.#system.syncData(old);
        closeSync(old);
      }
      await this.#system.syncData(fd);
      if (directoryDirty) {
        await whenDescriptorsAreFree(() => syncDirectory(this.#options.directory));
      }
    } catch (error) {
      throw this.fail(error);
    }
    this.#syncedFrames = frames;
    this.#options.onSynced();
  }

  /** What cannot be recorded ends the recording. @returns what it has failed with, first */
  fail(cause: unknown): HoopError {
    if (this.#failure === undefined) {
      this.#failure = cause instanceof HoopError ? cause : cannotWrite(cause);
      this.#options.onFailure(this.#failure);
    }
    return this.#failure;
  }
}

export function segmentName(segment: number): string {
  return `seg-${String(segment).padStart(8, '0')}.hrs`;
}

/** After a file was created or renamed: its name is on disk only when this returned. */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows opens no directories.
  if (process.platform === 'win32') {
    return;
  }
  const fd = openSync(directory, 'r');
  try {
    await syncAll(fd);
  } finally {
    closeSync(fd);
  }
}

/** What an error of the system is for whoever records. */
export function cannotWrite(cause: unknown): HoopError {
  const detail = cause instanceof Error ? `The system said: ${cause.message}.` : undefined;
  if (isWithoutDescriptors(cause)) {
    const hint = 'Raise the limit of open files: `ulimit -n`, or LimitNOFILE in a unit.';
    const message = 'the recording cannot be written: no file descriptor is left';
    return new HoopError('HOOP_RECORDING_WRITE', message, { detail, hint, cause });
  }
  return isDiskFull(cause)
    ? new HoopError('HOOP_DISK_FULL', 'the recording cannot be written: the disk is full', {
        detail,
        hint: 'Free space on the disk with the recordings.',
        cause,
      })
    : new HoopError('HOOP_RECORDING_WRITE', 'the recording cannot be written', {
        detail,
        hint: 'Check the free space and the health of the disk with the recordings.',
        cause,
      });
}

function isDiskFull(cause: unknown): boolean {
  return /^(ENOSPC|EDQUOT)$/.test(errorCode(cause) ?? '');
}
