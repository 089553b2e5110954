import { setTimeout as delay } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import type { SessionIndex } from '../index/session-index.ts';
import type { EndCommand, NodeCommands } from '../nodes/node-commands.ts';

/** Longer than the end of a session may take. */
const WAIT_MS = 20_000;
const LOOK_EVERY_MS = 250;

/**
 * Has another node end its session; resolves when that is in the store.
 * @throws HOOP_OTHER_NODE: it did not by then, and may do so later
 */
export async function endElsewhere(
  {
    index,
    commands,
  }: { readonly index: SessionIndex; readonly commands: Pick<NodeCommands, 'end'> },
  node: string,
  command: EndCommand,
): Promise<void> {
  await commands.end(node, command);
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += LOOK_EVERY_MS) {
    if ((await index.find(command.session))?.endedMs !== undefined) return;
    await delay(LOOK_EVERY_MS);
  }
  throw new HoopError('HOOP_OTHER_NODE', 'the gateway that has the session does not answer', {
    detail: `It is node ${node}. It will end the session when it comes back; until then the session carries no traffic.`,
    hint: 'If its machine is gone for good, an administrator takes it over: `hoop gateway takeover NODE --config FILE`.',
  });
}
