/** A session that only listens to what its streams tell. */
import type { AuditSink } from '../../src/gateway/audit/stream-audit.ts';

export function auditSink(listening: Partial<AuditSink> = {}): AuditSink {
  return {
    prompt: undefined,
    event: () => undefined,
    evidence: () => undefined,
    record: {
      write: () => undefined,
      whenWritten: (forward) => queueMicrotask(forward),
      whenHeld: () => undefined,
    },
    ...listening,
  };
}
