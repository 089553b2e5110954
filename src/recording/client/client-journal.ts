/**
 * Writes the journal of one session (journal-records.ts). The rules of a recording hold here too:
 * what returned was written (write(2)), `sync` means fdatasync, and an error is final.
 */
import { closeSync, existsSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import {
  encodeJournalRecord,
  encodeLeaves,
  encodeProposed,
  JOURNAL_FILE,
  journalHeader,
  journalPartName,
  openFileHeader,
  openFileName,
} from '../formats/journal-records.ts';
import type { LeafPoint } from '../write/running-leaves.ts';
import { cannotWrite, type RecordingSystem, syncDirectory } from '../write/segment-writer.ts';
import { SpoolInUse } from './spool.ts';

/** Group commit, as in a recording. */
const SYNC_AFTER_MS = 100;

export interface ClientJournalOptions {
  readonly directory: string;
  readonly session: string;
  readonly system: RecordingSystem;
  /** Called once, with the error that ends this session. */
  readonly onFailure: (error: HoopError) => void;
}

export class ClientJournal {
  readonly #options: ClientJournalOptions;
  readonly #journal: AppendedFile;
  readonly #open: readonly [AppendedFile, AppendedFile];
  #epoch = 0;
  #records = 0;
  #failure: HoopError | undefined;
  #timer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> = Promise.resolve();
  /** The one that begins when that has ended: it is for all who ask until then. */
  #nextSync: Promise<void> | undefined;
  #isClosed = false;

  /**
   * The files are there, and their names on disk, when this resolves.
   * @throws HoopError HOOP_RECORDING_WRITE, HOOP_DISK_FULL
   */
  static async create(options: ClientJournalOptions): Promise<ClientJournal> {
    try {
      const journal = new ClientJournal(options);
      // Its beginning too: power may go before the first cut.
      await journal.sync();
      await syncDirectory(options.directory);
      return journal;
    } catch (error) {
      throw error instanceof HoopError ? error : cannotWrite(error);
    }
  }

  private constructor(options: ClientJournalOptions) {
    const { directory, session } = options;
    this.#options = options;
    const made: AppendedFile[] = [];
    const file = (name: string, header: Uint8Array): AppendedFile => {
      const appended = new AppendedFile(join(directory, name));
      made.push(appended);
      appended.append(header);
      return appended;
    };
    try {
      const open = openFileHeader(session);
      this.#journal = file(JOURNAL_FILE, journalHeader(session));
      this.#open = [file(openFileName(0), open), file(openFileName(1), open)];
    } catch (error) {
      for (const appended of made) {
        appended.close();
      }
      throw error;
    }
  }

  /** Number of the cut that comes next. */
  get epoch(): number {
    return this.#epoch;
  }

  /** @throws HoopError HOOP_RECORDING_WRITE or HOOP_DISK_FULL, then and for ever after */
  leaves(points: readonly LeafPoint[]): void {
    if (points.length > 0) {
      const record = { type: 'leaves', body: encodeLeaves(this.#epoch, points) } as const;
      this.#write(() => this.#openFile.append(encodeJournalRecord(record)));
    }
  }

  /**
   * From here on `leaves` are of the cut after this one.
   * @param behind leaves of what this cut leaves out, under that number
   */
  propose(cut: Uint8Array, leaves: Uint8Array, behind: readonly LeafPoint[]): void {
    // First what is behind: killed in between, what is left is as if this had not begun. What the file
    // held until now is of the cut before, whose leaves are synced in its own PROPOSED.
    this.#epoch += 1;
    this.#write(() => this.#openFile.begin(openFileHeader(this.#options.session)));
    this.leaves(behind);
    const record = encodeProposed(cut, leaves);
    this.#write(() => this.#journal.append(encodeJournalRecord(record)));
    this.#records += 1;
  }

  /**
   * Of the cut that was proposed last, once it is synced and before it is sent: another hoop adds its
   * record and then looks for this one, so of two at most one goes on.
   * @throws SpoolInUse when this is not the one; the session ends then
   */
  claimProposed(): void {
    this.#write(() => {
      this.#records -= 1;
      try {
        this.#assertAlone();
      } catch (error) {
        this.#journal.dropLast();
        throw error;
      }
      this.#records += 1;
    });
  }

  agree(cut: Uint8Array): void {
    this.#write(() => this.#journal.append(encodeJournalRecord({ type: 'agreed', body: cut })));
    this.#records += 1;
  }

  /** @throws the error that ended this, if one has */
  assertOpen(): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    if (this.#isClosed) {
      throw new TypeError('the journal is closed');
    }
  }

  /** Resolves when everything that was written before the call is on disk. */
  sync(): Promise<void> {
    // On a slow disk one behind the other for each 100 ms would leave a cut waiting for all of them.
    if (this.#nextSync === undefined) {
      const synced = this.#syncing.then(() => {
        this.#nextSync = undefined;
        return this.#sync();
      });
      this.#syncing = synced.catch(() => undefined);
      this.#nextSync = synced;
    }
    return this.#nextSync;
  }

  /** Syncs and closes. Never throws: what failed has been reported to `onFailure`. */
  async close(): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    await this.sync().catch(() => undefined);
    clearTimeout(this.#timer);
    for (const file of [this.#journal, ...this.#open]) {
      file.close();
    }
  }

  /** A hoop that does not see this process may settle a session that the gateway has ended. @throws SpoolInUse */
  #assertAlone(): void {
    if (existsSync(join(this.#options.directory, journalPartName(this.#records)))) {
      throw new SpoolInUse();
    }
  }

  get #openFile(): AppendedFile {
    return this.#open[this.#epoch % 2 === 0 ? 0 : 1];
  }

  async #sync(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    try {
      const files = [this.#journal, ...this.#open];
      // All have ended when this goes on, and may be closed.
      const synced = await Promise.allSettled(files.map((file) => file.sync(this.#options.system)));
      for (const result of synced) {
        if (result.status === 'rejected') throw result.reason;
      }
    } catch (error) {
      throw this.fail(error);
    }
  }

  #write(write: () => void): void {
    this.assertOpen();
    try {
      write();
    } catch (error) {
      throw this.fail(error);
    }
    this.#timer ??= setTimeout(() => {
      // Failures reach the owner through onFailure.
      this.sync().catch(() => undefined);
    }, SYNC_AFTER_MS);
  }

  /** What cannot be journalled ends the session. @returns what it has failed with, first */
  fail(cause: unknown): HoopError {
    if (this.#failure === undefined) {
      this.#failure = cause instanceof HoopError ? cause : cannotWrite(cause);
      this.#options.onFailure(this.#failure);
    }
    return this.#failure;
  }
}

/** A new file, which nobody else writes. */
class AppendedFile {
  readonly #fd: number;
  #at = 0;
  #lastAt = 0;
  #isDirty = false;

  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o600);
  }

  append(bytes: Uint8Array): void {
    // A short write means that the disk, the quota or the file is full: which of them, the next one says.
    const written = writeSync(this.#fd, bytes, 0, bytes.length, this.#at);
    const rest = bytes.subarray(written);
    if (
      rest.length > 0 &&
      writeSync(this.#fd, rest, 0, rest.length, this.#at + written) !== rest.length
    ) {
      throw new Error(`only a part of ${bytes.length} bytes could be written`);
    }
    this.#lastAt = this.#at;
    this.#at += bytes.length;
    this.#isDirty = true;
  }

  /** What was appended last was never there. */
  dropLast(): void {
    ftruncateSync(this.#fd, this.#lastAt);
    this.#at = this.#lastAt;
  }

  /** In the place of all that it held. */
  begin(bytes: Uint8Array): void {
    ftruncateSync(this.#fd, 0);
    this.#at = 0;
    this.append(bytes);
  }

  async sync({ syncData }: Pick<RecordingSystem, 'syncData'>): Promise<void> {
    if (this.#isDirty) {
      this.#isDirty = false;
      await syncData(this.#fd);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
