/**
 * The numbers that the gateway counts as it works. Values that can be asked for at any time are gauges
 * of start/open-metrics.ts.
 */
import type { RecordingEvent } from '../../recording/formats/types.ts';
import { Counter, Histogram, type Metric } from './metric.ts';

/** The members of an audit event that are counted. */
export interface CountedEvent {
  readonly type: string;
  /** One event stands for this many. */
  readonly count?: number | undefined;
  readonly code?: string | undefined;
  readonly kind?: string | undefined;
  readonly reason?: string | undefined;
  readonly state?: string | undefined;
  readonly how?: string | undefined;
  readonly who?: { readonly kind?: 'person' | 'workload' | undefined } | undefined;
}

const OPERATION_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60,
];
const STORE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

export class GatewayMetrics {
  readonly #sessionsStarted = new Counter('hoop_sessions_started_total', 'Sessions that began.', [
    'kind',
  ]);
  readonly #sessionsEnded = new Counter('hoop_sessions_ended_total', 'Sessions that ended.', [
    'reason',
  ]);
  readonly #sessionsRefused = new Counter(
    'hoop_session_starts_refused_total',
    'Sessions that were refused before they began.',
    ['code'],
  );
  readonly #logins = new Counter('hoop_logins_total', 'Logins of people and workloads.', ['kind']);
  readonly #loginsRefused = new Counter('hoop_logins_refused_total', 'Logins that were refused.', [
    'code',
  ]);
  readonly #operations = new Counter(
    'hoop_operations_total',
    'Decisions about statements, commands and other operations.',
    ['effect', 'kind'],
  );
  readonly #rows = new Counter('hoop_rows_returned_total', 'Rows that reached clients.');
  readonly #masked = new Counter('hoop_masked_values_total', 'Values that were masked.');
  readonly #operationSeconds = new Histogram(
    'hoop_operation_duration_seconds',
    'Time from the decision about an operation to its end, including the target.',
    OPERATION_SECONDS,
  );
  readonly #approvals = new Counter(
    'hoop_approvals_total',
    'Changes of state of approval requests.',
    ['kind', 'state'],
  );
  readonly #grants = new Counter('hoop_grants_total', 'Temporary access that was granted.');
  readonly #policyRefused = new Counter(
    'hoop_policy_refused_total',
    'Policy commits that were refused, and failed fetches.',
    ['code'],
  );
  readonly #recordingsRead = new Counter(
    'hoop_recordings_read_total',
    'Recordings that were read or searched.',
  );
  readonly #recordings = new Counter(
    'hoop_recordings_complete_total',
    'Recordings that were signed, by both ends or by the gateway alone.',
    ['signed'],
  );
  readonly #events = new Counter('hoop_audit_events_total', 'Audit events, by type.', ['type']);
  readonly #store = new Histogram(
    'hoop_store_duration_seconds',
    'Time of one request to the store.',
    STORE_SECONDS,
  );

  /** All that this object counts. */
  readonly metrics: readonly Metric[] = [
    this.#sessionsStarted,
    this.#sessionsEnded,
    this.#sessionsRefused,
    this.#logins,
    this.#loginsRefused,
    this.#operations,
    this.#operationSeconds,
    this.#rows,
    this.#masked,
    this.#approvals,
    this.#grants,
    this.#policyRefused,
    this.#recordings,
    this.#recordingsRead,
    this.#events,
    this.#store,
  ];

  /** Counts an audit event that this process wrote. */
  event(event: CountedEvent & { readonly signed?: string | undefined }): void {
    const { count = 1, code = 'other' } = event;
    this.#events.add(count, event.type);
    switch (event.type) {
      case 'session.begin':
        this.#sessionsStarted.add(count, event.kind ?? 'other');
        break;
      case 'session.end':
        this.#sessionsEnded.add(count, event.reason ?? 'other');
        break;
      case 'session.refused':
        this.#sessionsRefused.add(count, code);
        break;
      case 'login':
        this.#logins.add(count, event.who?.kind ?? 'person');
        break;
      case 'login.refused':
        this.#loginsRefused.add(count, code);
        break;
      case 'approval.requested':
        this.#approvals.add(count, event.kind ?? 'other', 'requested');
        break;
      case 'approval.state':
        this.#approvals.add(count, event.kind ?? 'other', event.state ?? 'other');
        break;
      case 'access.given':
        this.#grants.add(count);
        break;
      case 'policy.refused':
        this.#policyRefused.add(count, code);
        break;
      case 'recording.complete':
        this.#recordings.add(count, event.signed ?? 'other');
        break;
      case 'recording.read':
      case 'recording.searched':
        this.#recordingsRead.add(count);
        break;
    }
  }

  /**
   * Counts what happens on a stream.
   * @param kind of the session's target
   */
  recorded(kind: string, event: RecordingEvent): void {
    if (event.type === 'decision') {
      this.#operations.add(1, event.effect, kind);
    } else if (event.type === 'result') {
      this.#rows.add(event.rows);
      this.#masked.add(event.maskedValues);
      if (event.us !== undefined) this.#operationSeconds.observe(event.us / 1_000_000);
    }
  }

  storeAnswered(seconds: number): void {
    this.#store.observe(seconds);
  }
}
