import { APPROVAL_ID } from '../../api/approvals.ts';
import { BLOCK_PATHS, BlockReply, BlocksReply, type BlockView } from '../../api/blocks.ts';
import { API_VERSION } from '../../api/http.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import { type GatewayClient, jsonBody } from '../../client/gateway-client.ts';
import { HoopError } from '../../errors.ts';
import { renderBlocks } from '../../ui/render-blocks.ts';
import { plain } from '../../ui/text/printable.ts';
import { MIN_PREFIX, normalized } from '../approvals/approvals-source.ts';
import type { Io } from '../io.ts';
import { type JsonFlag, lookOf, printedAsJson, printLines } from '../print.ts';

export interface BlockFlags {
  readonly target?: string;
  /** Seconds. */
  readonly for?: number;
  readonly reason: string;
  readonly json?: boolean;
}

export async function blockAccess(io: Io, who: string, flags: BlockFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const { target, for: durationSeconds, reason } = flags;
  const body = jsonBody({
    v: API_VERSION,
    who,
    reason,
    ...(target === undefined ? {} : { target }),
    ...(durationSeconds === undefined ? {} : { durationSeconds }),
  });
  const path = BLOCK_PATHS.blocks;
  const reply = await gateway.client.json(BlockReply, { method: 'POST', path, body }, io.signal);
  if (printedAsJson(io, flags, reply)) return;
  const { block, logins, sessions } = reply;
  const what = whoOf(block);
  const where = block.target === undefined ? '' : ` on ${block.target}`;
  io.note(
    plain(
      `${what} is blocked${where}; ended: ${count(sessions, 'session')}, ${count(logins, 'login')}`,
    ),
  );
  if (block.kind === 'login' && block.subjects.length === 0) {
    io.note('nobody with this name has logged in yet: check the spelling in `hoop sessions list`');
  }
  if (reply.isKept === false) {
    io.note(
      'the gateway’s store does not answer: the block is in force at this gateway and will be stored once it answers',
    );
  }
  io.note(`to lift it: hoop access unblock ${block.id}`);
}

export async function unblockAccess(io: Io, typed: string, flags: JsonFlag): Promise<void> {
  await using gateway = await openGateway(io);
  const id = await blockMeant(gateway.client, typed, io.signal);
  const path = BLOCK_PATHS.block(id);
  const reply = await gateway.client.json(BlockReply, { method: 'DELETE', path }, io.signal);
  if (!printedAsJson(io, flags, reply)) {
    io.note(
      plain(`block ${id} of ${whoOf(reply.block)} is lifted; logins that it ended stay ended`),
    );
  }
}

function whoOf({ kind, who }: BlockView): string {
  return kind === 'agent' ? `agent ${who}` : who;
}

export async function listBlocks(
  io: Io,
  flags: { readonly all?: boolean; readonly json?: boolean },
): Promise<void> {
  await using gateway = await openGateway(io);
  const all = await blocksOf(gateway.client, io.signal);
  const blocks = flags.all ? all : all.filter(({ state }) => state === 'active');
  if (printedAsJson(io, flags, { v: 1, blocks })) return;
  if (blocks.length === 0) {
    io.note('nobody that you may know of is blocked');
    return;
  }
  printLines(io, renderBlocks(blocks, { ...lookOf(io), nowMs: Date.now() }));
}

/** An id, the start of one, or whom it was typed for. */
async function blockMeant(
  client: GatewayClient,
  typed: string,
  signal: AbortSignal,
): Promise<string> {
  const wanted = normalized(typed);
  if (APPROVAL_ID.test(wanted)) {
    return wanted;
  }
  const active = (await blocksOf(client, signal)).filter(({ state }) => state === 'active');
  const named = active.filter(({ who }) => who.toLowerCase() === typed.toLowerCase());
  const byId = wanted.length < MIN_PREFIX ? [] : active.filter(({ id }) => id.startsWith(wanted));
  const [block, other] = named.length > 0 ? named : byId;
  const hint = 'Give the ID from `hoop access blocks`.';
  const known = `known as "${plain(typed)}"`;
  if (block === undefined) {
    throw new HoopError('HOOP_APPROVAL_UNKNOWN', `no block is ${known}`, { hint });
  }
  if (other !== undefined) {
    throw new HoopError('HOOP_USAGE', `several blocks are ${known}`, { hint });
  }
  return block.id;
}

async function blocksOf(client: GatewayClient, signal: AbortSignal): Promise<readonly BlockView[]> {
  const request = { method: 'GET', path: BLOCK_PATHS.blocks } as const;
  return (await client.json(BlocksReply, request, signal)).blocks;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
