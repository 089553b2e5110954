/**
 * A protocol that hoop does not speak: lines, one answered before the next is read. `GET key`,
 * `SET key value`. It stands on the interfaces alone, as a connector from elsewhere would: what the
 * gateway gives a session (login, grant, record, requests for approval, its end) it gets from there.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import * as z from 'zod';
import type { View } from '../../../src/api/view.ts';
import { HoopError } from '../../../src/errors.ts';
import {
  type CommandAsk,
  commandApprovals,
} from '../../../src/gateway/approvals/command-approvals.ts';
import { operation } from '../../../src/gateway/audit/stream-audit.ts';
import type {
  GatewayConnector,
  GatewaySource,
  ServedStream,
  SessionContext,
  StreamEnd,
} from '../../../src/gateway/connector.ts';
import { HOLD_MANNER } from '../../../src/gateway/holds/hold-texts.ts';
import { OperationHold } from '../../../src/gateway/holds/operation-hold.ts';
import type { TargetHost } from '../../../src/gateway/targets/target-host.ts';
import type { ConnectorRule, PolicyConnector } from '../../../src/policy/connector.ts';
import { type AllowedByRules, decideByRules } from '../../../src/policy/decide-by-rules.ts';
import { parseAddress } from '../../../src/policy/schema/target-schema.ts';
import { onAbort } from '../../../src/until.ts';

/** `lines: [GET]`: what begins so. */
interface ToyRule extends ConnectorRule {
  readonly starts: readonly string[];
}

const toyPolicy: PolicyConnector = {
  kind: 'toy',
  targetKeys: { address: z.string() },
  targetFrom: ({ address }) => ({ addresses: [parseAddress(String(address)) ?? []].flat() }),
  rules: {
    ruleKeys: { lines: z.array(z.string()).optional() },
    rulesFrom: ({ lines: starts }, start) => [
      rule({ ...start, starts: z.array(z.string()).parse(starts) }),
    ],
    everything: (start) => rule({ ...start, starts: [''] }),
  },
};

function rule(made: ToyRule): ToyRule {
  return { ...made, described: `lines ${made.starts.join(', ')}` };
}

interface ToyTarget {
  readonly name: string;
  readonly hosts: readonly TargetHost[];
  readonly login: string;
}

const toyGateway: GatewayConnector = {
  check: async (_services, target) => `${target.name} was not asked`,
  open: (services) => ({
    async prepare({ target }) {
      const { user, password } = await services.credentials.credential(target.credential ?? '');
      const login = `LOGIN ${user} ${password?.expose()}\n`;
      const toy: ToyTarget = { name: target.name, hosts: services.targets.hosts(target), login };
      return {
        reply: { kind: 'toy', name: target.name },
        open: (context) => ({
          hosts: toy.hosts,
          streamLimits: { toy: 1 },
          serve: (stream) => serve(toy, context, stream),
        }),
      };
    },
  }),
};

export const TOY: GatewaySource = {
  kind: 'toy',
  streamKinds: ['toy'],
  does: 'acts',
  policy: async () => toyPolicy,
  gateway: async () => toyGateway,
};

async function serve(
  toy: ToyTarget,
  context: SessionContext,
  served: ServedStream,
): Promise<StreamEnd> {
  const { client, audit } = served;
  const [host] = toy.hosts;
  const socket = connect({ host: host?.host ?? '', port: host?.port ?? 0 });
  using _ = onAbort(context.signal, () => client.destroy());
  try {
    await once(socket, 'connect');
    const answers = lines(socket);
    socket.write(toy.login);
    await answers.next();
    for await (const { line, at } of lines(client)) {
      const decided = await decide(toy, context, served, { line, at });
      if ('refused' in decided) {
        client.write(`ERR ${decided.refused}\n`);
        continue;
      }
      // Nothing goes to the target that is not on record.
      audit.write();
      socket.write(`${line}\n`);
      const answer = (await answers.next()).value?.line ?? 'ERR gone';
      audit.ended(at, decided.operation, { tag: answer.split(' ')[0] });
      client.write(`${answer}\n`);
    }
    client.end();
    return { reason: 'closed' };
  } catch (cause) {
    const problem = new HoopError('HOOP_TARGET_UNREACHABLE', 'the toy is broken', { cause });
    return context.signal.aborted ? { reason: 'ended' } : { reason: 'failed', problem };
  } finally {
    socket.destroy();
  }
}

interface Line {
  readonly line: string;
  /** Bytes before it. */
  readonly at: number;
}

/** Holds it, where a rule asks for that. */
async function decide(
  target: ToyTarget,
  context: SessionContext,
  { stream, audit, client, clientLeft }: ServedStream,
  { line, at }: Line,
): Promise<{ readonly operation: number } | { readonly refused: string }> {
  const verb = line.split(' ')[0] ?? '';
  const view: View = [{ type: 'code', language: 'toy', text: line }];
  const hold = new OperationHold<AllowedByRules, CommandAsk>({
    ...{ stream, at, audit, ...context },
    approvals: commandApprovals(
      { ...context, target },
      { format: 'toy/v1', shown: () => ({ verb, text: line, view }) },
    ),
    words: () => ({ manner: HOLD_MANNER, what: line }),
    asks: () => ({}),
    decide: () =>
      decideByRules<ToyRule>(context.grant(), 'the line', ({ starts }) =>
        starts.some((start) => line.startsWith(start)),
      ),
  });
  using _ = onAbort(clientLeft, () => hold.withdraw('the client left'));
  const outcome = await hold.pass((_, { id }) => void client.write(`HELD ${id}\n`));
  switch (outcome.type) {
    case 'released':
      return { operation: audit.allowed(at, operation(verb, { ...outcome.verdict, view })) };
    case 'refused': {
      const { refusal } = outcome;
      audit.refused(at, operation(verb, { ...outcome, view }), refusal);
      return { refused: `${refusal.code} ${refusal.message}` };
    }
    case 'withdrawn':
      return { refused: 'withdrawn' };
  }
}

export async function* lines(from: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let rest = '';
  let at = 0;
  for await (const chunk of from) {
    const parts = (rest + Buffer.from(chunk).toString('latin1')).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      yield { line, at };
      at += line.length + 1;
    }
  }
}
