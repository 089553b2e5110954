/**
 * The audit of one session. Everything that is kept of an event follows from here:
 *
 *   engine ── StreamAudit ── SessionAudit ──▶ events of the recording
 *                                        ├──▶ rows of the index
 *                                        ├──▶ stream 0: lines that both sides sign
 *                                        └──▶ the operator's log
 */

import type { RecordingEvent } from '../../recording/formats/types.ts';
import type { EvidenceLine } from '../../recording/verify/evidence-lines.ts';
import type { GatewayRecording } from '../../recording/write/gateway-recording.ts';
import type { Forwarding } from '../../recording/write/held-turns.ts';
import type { AuditSink } from '../audit/stream-audit.ts';
import type { Log } from '../base/log.ts';
import type { SessionIndex } from '../index/session-index.ts';
import type { SessionControl } from './session-control.ts';
import type { SessionPrompts } from './session-prompts.ts';

export interface SessionAuditOptions {
  readonly session: string;
  readonly recording: GatewayRecording;
  readonly index: Pick<SessionIndex, 'event'>;
  readonly prompts: Pick<SessionPrompts, 'current'>;
  readonly log: Log;
  /** Counts each event. */
  readonly count: (event: RecordingEvent) => void;
}

/** What happens in one session: of its streams, and of itself. */
export class SessionAudit implements AuditSink {
  readonly #options: SessionAuditOptions;
  #control: Pick<SessionControl, 'sendEvidence'> | undefined;

  constructor(options: SessionAuditOptions) {
    this.#options = options;
  }

  get prompt(): string | undefined {
    return this.#options.prompts.current?.id;
  }

  get record(): Forwarding {
    return this.#options.recording.forwarding;
  }

  event(event: RecordingEvent): void {
    const { recording, index, session, log, count } = this.#options;
    recording.writer.event(event);
    index.event(session, event);
    count(event);
    if (event.type === 'decision' && event.effect === 'refuse') {
      const { stream, code, rules } = event;
      log.info('statement.refused', { stream, code, rule: rules[0]?.id });
    }
  }

  /** Lines are written from now on. */
  attach(control: Pick<SessionControl, 'sendEvidence'>): void {
    this.#control = control;
  }

  /** It is in the recording before the other side has it; nothing before there is one. */
  evidence(line: EvidenceLine): void {
    this.#control?.sendEvidence(this.#options.recording.evidence(line));
  }
}
