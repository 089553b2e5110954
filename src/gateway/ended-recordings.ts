/**
 * Recordings of sessions that have ended: the client's last cut, its upload, the manifest, the
 * bundle. After a crash they are repaired first.
 */
import { createHash } from 'node:crypto';
import type { SigningKey } from '../recording/ed25519.ts';
import { EndedRecording, listRecordings } from '../recording/ended-recording.ts';
import type { RecordingStore } from '../recording/recording-store.ts';
import { errorFields, type Log } from './log.ts';
import type { SessionIndex } from './session-index.ts';

export interface EndedRecordingsOptions {
  readonly store: RecordingStore;
  readonly gatewayKey: SigningKey;
  readonly index: SessionIndex;
  readonly uploadWithinSeconds: number;
  readonly log: Log;
  readonly clock: () => number;
}

/** Opened ones that are kept for the next request of the same upload. */
const MAX_OPEN = 32;

export class EndedRecordings {
  readonly #options: EndedRecordingsOptions;
  readonly #open = new Map<string, Promise<EndedRecording>>();

  constructor(options: EndedRecordingsOptions) {
    this.#options = options;
  }

  /** @throws HOOP_SESSION_UNKNOWN, HOOP_RECORDING_DAMAGED. Only for sessions that have ended. */
  open(session: string): Promise<EndedRecording> {
    const known = this.#open.get(session);
    if (known !== undefined) {
      return known;
    }
    const { store, gatewayKey } = this.#options;
    const opened = EndedRecording.open({ store, session, gatewayKey });
    this.#open.set(session, opened);
    opened.catch(() => this.#open.delete(session));
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= MAX_OPEN) {
        break;
      }
      this.#open.delete(oldest);
    }
    return opened;
  }

  /** @returns the DSSE text with both signatures. @throws HOOP_EVIDENCE_MISMATCH */
  async countersign(session: string, envelope: string): Promise<string> {
    const recording = await this.open(session);
    const signed = await recording.countersign(envelope);
    this.#options.index.uploaded(session, sha256(signed));
    this.#options.log.info('session.uploaded', { session });
    return signed;
  }

  /** At start, before anything else: closes what a crash has left open. */
  async recover(): Promise<void> {
    const { store, index } = this.#options;
    const unfinished = (await listRecordings(store))
      .filter(({ state }) => state === 'unfinished')
      .map(({ session }) => session);
    for (const session of new Set([...index.live(), ...unfinished])) {
      await this.#recover(session);
    }
  }

  async #recover(session: string): Promise<void> {
    const { index, log, clock } = this.#options;
    let totals = { upBytes: 0, downBytes: 0 };
    let message = 'the gateway stopped without closing the session';
    try {
      const recording = await this.open(session);
      for (const { up, down } of recording.position().recorded) {
        totals = { upBytes: totals.upBytes + up, downBytes: totals.downBytes + down };
      }
      log.warn('session.recovered', { session, ...totals });
    } catch (error) {
      message = 'the recording could not be repaired after the gateway stopped';
      log.error('session.recovery_failed', { session, ...errorFields(error) });
    }
    index.end(session, { endedMs: clock(), reason: 'gateway_crash', message, ...totals });
  }

  /** Signs alone for those whose client did not come in time, and for disputed sessions. */
  async signOverdue(): Promise<void> {
    const { index, log, clock, uploadWithinSeconds } = this.#options;
    for (const session of index.withoutManifest(clock() - uploadWithinSeconds * 1000)) {
      try {
        const recording = await this.open(session);
        index.signedAlone(session, sha256(await recording.signAlone()));
        log.warn('session.signed_alone', { session });
      } catch (error) {
        log.error('session.sign_failed', { session, ...errorFields(error) });
      }
    }
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
