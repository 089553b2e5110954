import { POSTGRES_BRIEFING } from '../../src/connectors/postgres/client/connector.ts';
import { SSH_BRIEFING } from '../../src/connectors/ssh/client/connector.ts';
import type { Briefing } from '../../src/run/briefing.ts';
import { briefingText as textOf } from '../../src/ui/briefing-text.ts';

/** With the words of the connectors that there are. */
export function briefingText(briefing: Briefing): string {
  return textOf(
    briefing,
    new Map([
      ['postgres', POSTGRES_BRIEFING],
      ['ssh', SSH_BRIEFING],
    ]),
  );
}
