/** Random programs over connections that are opened anew whenever one has ended. */
import { type WireAddress, WireClient, WireTimeout } from '../protocol/wire-client.ts';
import { type FuzzMessage, query, randomProgram } from './programs.ts';
import type { Random } from './random.ts';

/** statement_timeout of the role. */
export const LONGEST_STATEMENT_MS = 2000;
/** For a machine that does other things as well. */
const PATIENCE_MS = 60_000;

/** @returns the processes of the server that served them. */
export async function playPrograms(
  address: WireAddress,
  corpus: readonly string[],
  random: Random,
  isOver: (played: number) => boolean,
): Promise<ReadonlySet<number>> {
  const processIds = new Set<number>();
  let client: WireClient | undefined;
  try {
    for (let played = 0; !isOver(played); played += 1) {
      if (client === undefined || client.isOver) {
        client = await WireClient.open(address);
        await play(client, [query('SELECT pg_backend_pid()')]);
        const row = client.received.find(({ type }) => type === 'D');
        processIds.add(Number(row?.body.subarray(6).toString()));
      }
      await play(client, randomProgram(corpus, random));
      // In copy mode the client would be waited for.
      if (client.count('G') > 0) await client[Symbol.asyncDispose]();
    }
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
  return processIds;
}

/**
 * To the answer, the beginning of a copy or the end of the connection.
 * @throws Error with what was sent, when nothing comes.
 */
async function play(client: WireClient, messages: readonly FuzzMessage[]): Promise<void> {
  client.received.length = 0;
  client.write(Buffer.concat(messages.map(({ bytes }) => bytes)));
  try {
    await client.until(
      () => client.count('Z') > 0 || client.count('G') > 0,
      LONGEST_STATEMENT_MS * messages.length + PATIENCE_MS,
    );
  } catch (cause) {
    if (!(cause instanceof WireTimeout)) throw cause;
    const sent = messages.map(({ bytes, text }) =>
      JSON.stringify(text ?? String.fromCharCode(bytes[0] ?? 0)),
    );
    const got = client.received.map(({ type }) => type).join(' ');
    throw new Error(`no answer to ${sent.join(', ')}; before that came "${got}"`, { cause });
  }
}
