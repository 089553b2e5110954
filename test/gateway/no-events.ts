import type { EventSteps } from '../../src/gateway/events/audit-events.ts';

/** For suites that are about something else. */
export const NO_EVENTS: EventSteps = {
  *add() {
    // Nothing.
  },
};
