/**
 * Stream 0 of a session, on which both sides write lines that both sides sign: why it was opened,
 * which grants came and went, why it ends, and what the client says of prompts.
 */
import type { Grant } from '../../policy/types.ts';
import {
  EVIDENCE_MESSAGE_BYTES,
  MAX_CLIENT_EVIDENCE_BYTES,
} from '../../recording/formats/prompt.ts';
import { CONTROL_STREAM } from '../../recording/formats/types.ts';
import type { EvidenceLine } from '../../recording/verify/evidence-lines.ts';
import type { GatewayRecording } from '../../recording/write/gateway-recording.ts';
import {
  type AccessGrant,
  accessEndText,
  accessEvent,
  accessGivenText,
} from '../access/access-grants.ts';
import type { SessionAudit } from './session-audit.ts';
import type { SessionControl } from './session-control.ts';
import type { SessionPrompts } from './session-prompts.ts';

export interface SessionStoryOptions {
  readonly audit: SessionAudit;
  readonly recording: GatewayRecording;
  readonly prompts: SessionPrompts;
  /** What the person gave; the first line of stream 0. */
  readonly reason: string | undefined;
  /** What is known of a temporary grant. */
  readonly temporary: (id: string) => AccessGrant | undefined;
  /** It cannot be recorded. */
  readonly onFault: (error: unknown) => void;
}

export class SessionStory {
  readonly #options: SessionStoryOptions;
  /** Bytes of the client. */
  #evidenceBytes = 0;

  constructor(options: SessionStoryOptions) {
    this.#options = options;
  }

  /** Lines are sent from now on: the reason first, then the grants that hold. */
  begin(control: Pick<SessionControl, 'sendEvidence'>, { temporary = [] }: Grant): void {
    const { reason } = this.#options;
    this.#options.audit.attach(control);
    if (reason !== undefined) {
      this.tell({ type: 'reason', text: reason });
    }
    // What began or ended before this channel was there; the events are in the recording already.
    for (const { id, policy } of temporary) {
      const known = this.#options.temporary(id);
      const message = known === undefined ? '' : accessGivenText(known);
      this.tell({ type: 'access', change: 'given', grant: id, policy, message });
    }
  }

  /** A line for whoever is there to hear it. Never throws. */
  tell(line: EvidenceLine): void {
    if (this.#options.recording.stopped.aborted) {
      return;
    }
    try {
      this.#options.audit.evidence(line);
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  /** A temporary grant came or went: both sides sign it. */
  accessChanged(change: 'given' | 'ended', id: string): void {
    const known = this.#options.temporary(id);
    if (known === undefined || this.#options.recording.stopped.aborted) {
      return;
    }
    const message = change === 'given' ? accessGivenText(known) : accessEndText(known);
    const { policy } = known;
    try {
      this.#options.audit.event(accessEvent(change, known, message));
    } catch (error) {
      this.#options.onFault(error);
      return;
    }
    this.tell({ type: 'access', change, grant: id, policy, message });
  }

  /**
   * Bytes of stream 0 from the client.
   * @returns false when they are more than any session has, and are not recorded
   * @throws ProtocolError for lines that are none; what the recording throws
   */
  received(bytes: Uint8Array): boolean {
    this.#evidenceBytes += EVIDENCE_MESSAGE_BYTES + bytes.length;
    if (this.#evidenceBytes > MAX_CLIENT_EVIDENCE_BYTES) {
      return false;
    }
    const { recording, prompts, onFault } = this.#options;
    recording.data(CONTROL_STREAM, 0, [bytes]);
    if (prompts.received(bytes)) {
      // The client waits for `recorded` before it lets anything run under it.
      recording.writer.sync().catch(onFault);
    }
    return true;
  }
}
