/**
 * Recordings of sessions that have ended: the client's last cut, its upload, the manifest, the
 * bundle. After a crash they are repaired first.
 */
import { createHash } from 'node:crypto';
import { HoopError } from '../../errors.ts';
import type { Bundle } from '../../recording/bundle/build-bundle.ts';
import { erasedBundle } from '../../recording/bundle/erased-bundle.ts';
import { EndedRecording } from '../../recording/ended/ended-recording.ts';
import { listRecordings } from '../../recording/ended/list-recordings.ts';
import { readSegments } from '../../recording/ended/read-segments.ts';
import {
  type RecordingPresence,
  recordingPresence,
} from '../../recording/ended/recording-presence.ts';
import { CONTROL_STREAM } from '../../recording/formats/types.ts';
import type { SigningKey } from '../../recording/keys/ed25519.ts';
import { loadRecordingKeys } from '../../recording/keys/recording-keys.ts';
import { type RecordingStore, recordingDirectory } from '../../recording/write/recording-store.ts';
import { inTime } from '../../until.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { RecordedEvent } from '../index/rebuild-session.ts';
import type { SessionIndex, SignedManifest } from '../index/session-index.ts';

export interface EndedRecordingsOptions {
  readonly store: RecordingStore;
  /** Rejects where this node may not sign (any more). */
  readonly requireLease: () => Promise<void>;
  /** That of now; recordings whose certificate names an older one are signed with that one. */
  readonly gatewayKey: () => SigningKey;
  readonly index: SessionIndex;
  readonly uploadWithinSeconds: number;
  readonly log: Log;
  readonly clock: () => number;
  /** Of `opened`; for tests. */
  readonly answerWithinMs?: number;
}

/** A client waits 30 s for an answer. */
const ANSWER_WITHIN_MS = 15_000;

/** Opened ones that are kept for the next request of the same upload. */
const MAX_OPEN = 32;

interface Entry {
  readonly opened: Promise<EndedRecording>;
  users: number;
}

export class EndedRecordings {
  readonly #options: EndedRecordingsOptions;
  readonly #open = new Map<string, Entry>();

  constructor(options: EndedRecordingsOptions) {
    this.#options = options;
  }

  /**
   * Only for sessions that have ended. All who are at it at one time work with one object, since
   * each appends to the files: none is let go while somebody uses it.
   * @throws HOOP_OTHER_NODE, HOOP_NODE_LOST, HOOP_RECORDING_LOST, HOOP_RECORDING_DAMAGED
   */
  async use<T>(session: string, work: (recording: EndedRecording) => Promise<T> | T): Promise<T> {
    // What follows signs, or closes: only what this node has recorded, while it is that node.
    await this.#options.index.claim(session);
    await this.#options.requireLease();
    const entry = this.#entry(session);
    entry.users += 1;
    try {
      const recording = await entry.opened;
      await this.#stillThere(session, entry, recording);
      // To open it reads all of it: a lease may run out meanwhile.
      await this.#options.requireLease();
      return await work(recording);
    } finally {
      entry.users -= 1;
      this.#letGo();
    }
  }

  /** Drops an opened recording whose files or keys are gone, unless another caller still uses it. */
  async #stillThere(session: string, entry: Entry, recording: EndedRecording): Promise<void> {
    try {
      await recording.requireFiles();
    } catch (error) {
      if (entry.users === 1) this.#open.delete(session);
      throw error;
    }
  }

  /**
   * To open a recording reads all of it. Who has waited too long for an answer asks again, and waits
   * for the same opening. What is wrong with the recording is told by what uses it.
   * @throws HOOP_RECORDING_READING
   */
  async opened(session: string): Promise<void> {
    const opening = this.use(session, () => undefined).catch(() => undefined);
    await inTime(
      opening,
      this.#options.answerWithinMs ?? ANSWER_WITHIN_MS,
      () =>
        new HoopError('HOOP_RECORDING_READING', 'the gateway is still reading the recording', {
          hint: 'Run it again in a moment.',
        }),
    );
  }

  #entry(session: string): Entry {
    const known = this.#open.get(session);
    if (known !== undefined) {
      return known;
    }
    const { store, gatewayKey, requireLease } = this.#options;
    const opened = EndedRecording.open({
      store,
      session,
      gatewayKey: gatewayKey(),
      mayWrite: requireLease,
    });
    const entry = { opened, users: 0 };
    this.#open.set(session, entry);
    opened.catch(() => this.#open.delete(session));
    return entry;
  }

  #letGo(): void {
    for (const [session, { users }] of this.#open) {
      if (this.#open.size <= MAX_OPEN) {
        return;
      }
      if (users === 0) {
        this.#open.delete(session);
      }
    }
  }

  /** Whether the recording of an ended session of this node can be read, from a look at its files. */
  presence(session: string): Promise<RecordingPresence> {
    return recordingPresence(this.#options.store, session);
  }

  /**
   * One tar file: of a session whose keys were erased what is left to check.
   * @throws as `use`
   */
  async bundle(session: string): Promise<Bundle> {
    const erased = await erasedBundle(this.#options.store, session);
    return erased ?? (await this.use(session, (recording) => recording.bundle()));
  }

  /** @returns the DSSE text with both signatures. @throws HOOP_EVIDENCE_MISMATCH */
  async countersign(session: string, envelope: string): Promise<string> {
    const { signed, manifest } = await this.use(session, async (recording) =>
      signedOf(recording, await recording.countersign(envelope)),
    );
    await this.#options.index.uploaded(session, manifest);
    this.#options.log.info('session.uploaded', { session });
    return signed;
  }

  /** At start, before anything else: closes what a crash of this node has left open. */
  async recover(): Promise<void> {
    const { store, index } = this.#options;
    const unfinished = (await listRecordings(store))
      .filter(({ state }) => state === 'unfinished')
      .map(({ session }) => session);
    for (const session of new Set([...(await index.live()), ...unfinished])) {
      await this.#recover(session);
    }
  }

  async #recover(session: string): Promise<void> {
    const { index, log, clock } = this.#options;
    let totals = { upBytes: 0, downBytes: 0 };
    let message = 'the gateway stopped without closing the session';
    try {
      const { recorded } = await this.use(session, (recording) => recording.position());
      await this.#rebuild(session);
      for (const { stream, up, down } of recorded) {
        if (stream === CONTROL_STREAM) continue;
        totals = { upBytes: totals.upBytes + up, downBytes: totals.downBytes + down };
      }
      log.warn('session.recovered', { session, ...totals });
    } catch (error) {
      message = 'the recording could not be repaired after the gateway stopped';
      log.error('session.recovery_failed', { session, ...errorFields(error) });
    }
    await index.end(session, { endedMs: clock(), reason: 'gateway_crash', message, ...totals });
  }

  /** Its last statements were in memory alone. The recording counts; without this a list says less. */
  async #rebuild(session: string): Promise<void> {
    const { index, log } = this.#options;
    await index
      .rebuild(session, this.#events(session))
      .catch((error: unknown) =>
        log.error('index.rebuild_failed', { session, ...errorFields(error) }),
      );
  }

  async *#events(session: string): AsyncGenerator<RecordedEvent> {
    const { store } = this.#options;
    const { dataKey } = loadRecordingKeys(store.keysDir, session);
    const directory = recordingDirectory(store, session);
    const all = { isLive: false, maxBytes: Number.POSITIVE_INFINITY, onCut: () => undefined };
    for await (const items of readSegments({ directory, session, dataKey, ...all })) {
      for (const item of items) if (item.type === 'event') yield item;
    }
  }

  /** Signs alone for those whose client did not come in time, and for disputed sessions. */
  async signOverdue(): Promise<void> {
    const { index, log, clock, uploadWithinSeconds } = this.#options;
    for (const session of await index.withoutManifest(clock() - uploadWithinSeconds * 1000)) {
      try {
        const { manifest } = await this.use(session, async (recording) =>
          signedOf(recording, await recording.signAlone()),
        );
        await index.signedAlone(session, manifest);
        log.warn('session.signed_alone', { session });
      } catch (error) {
        log.error('session.sign_failed', { session, ...errorFields(error) });
      }
    }
  }
}

function signedOf(
  recording: EndedRecording,
  signed: string,
): { readonly signed: string; readonly manifest: SignedManifest } {
  const lostBytes = recording.position().lost.reduce((sum, { from, to }) => sum + to - from, 0);
  const sha256 = createHash('sha256').update(signed).digest('hex');
  return { signed, manifest: { sha256, lostBytes } };
}
