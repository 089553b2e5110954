/**
 * A protocol that hoop does not speak: lines, one answered before the next is read. `GET key`,
 * `SET key value`. It stands on the interfaces alone, as a connector from elsewhere would: what the
 * gateway gives a session (login, grant, record, requests for approval, its end) it gets from there.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import * as z from 'zod';
import { HoopError } from '../../../src/errors.ts';
import {
  type CommandAsk,
  commandApprovals,
} from '../../../src/gateway/approvals/command-approvals.ts';
import { Hold } from '../../../src/gateway/approvals/hold.ts';
import { HOLD_MANNER } from '../../../src/gateway/approvals/hold-texts.ts';
import type {
  GatewayConnector,
  GatewaySource,
  ServedStream,
  SessionContext,
  StreamEnd,
} from '../../../src/gateway/connector.ts';
import { operation } from '../../../src/gateway/sessions/audit.ts';
import type { TargetHost } from '../../../src/gateway/targets/target-host.ts';
import type { ConnectorRule, PolicyConnector } from '../../../src/policy/connector.ts';
import { grantSides } from '../../../src/policy/grant-sides.ts';
import { refusal } from '../../../src/policy/refusal.ts';
import { parseAddress } from '../../../src/policy/target-schema.ts';
import type { ApprovalDemand, Grant, Refusal, RuleRef } from '../../../src/policy/types.ts';
import { onAbort } from '../../../src/until.ts';

export const TOY: GatewaySource = {
  kind: 'toy',
  streamKinds: ['toy'],
  does: 'acts',
  policy: async () => toyPolicy,
  gateway: async () => toyGateway,
};

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
    warnings: () => [],
  },
};

function rule(made: ToyRule): ToyRule {
  return { ...made, described: `lines ${made.starts.join(', ')}` };
}

type Verdict =
  | Refusal
  | { readonly rules: readonly RuleRef[]; readonly approvals: ApprovalDemand[] };

function decide(grant: Grant, line: string): Verdict {
  const rules: RuleRef[] = [];
  const approvals: ApprovalDemand[] = [];
  for (const side of grantSides(grant)) {
    const about = ((side.own?.rules ?? []) as readonly ToyRule[]).filter(({ starts }) =>
      starts.some((start) => line.startsWith(start)),
    );
    const of = (effect: string) => about.find((one) => one.effect === effect);
    const deny = of('deny');
    const gives = of('approve') ?? of('allow');
    if (deny) return refusal(side, { code: 'HOOP_DENIED', message: 'denied', rule: deny.rule });
    if (!gives) return refusal(side, { code: 'HOOP_NOT_ALLOWED', message: 'not allowed' });
    rules.push(gives.rule);
    if (gives.approval) approvals.push({ ...gives, terms: gives.approval });
  }
  return { rules, approvals };
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
          serve: (stream) => new ToyStream(toy, context, stream).serve(),
          policyChanged: () => undefined,
        }),
      };
    },
    [Symbol.asyncDispose]: async () => undefined,
  }),
};

interface ToyAsk extends CommandAsk {
  readonly line: string;
}

class ToyStream {
  readonly #target: ToyTarget;
  readonly #context: SessionContext;
  readonly #served: ServedStream;

  constructor(target: ToyTarget, context: SessionContext, served: ServedStream) {
    this.#target = target;
    this.#context = context;
    this.#served = served;
  }

  async serve(): Promise<StreamEnd> {
    const { client } = this.#served;
    const [host] = this.#target.hosts;
    const socket = connect({ host: host?.host ?? '', port: host?.port ?? 0 });
    using _ = onAbort(this.#context.signal, () => client.destroy());
    try {
      await once(socket, 'connect');
      const answers = lines(socket);
      socket.write(this.#target.login);
      await answers.next();
      for await (const { line, at } of lines(client)) {
        client.write(`${await this.#answer(line, at, socket, answers)}\n`);
      }
      client.end();
      return { reason: 'closed' };
    } catch (cause) {
      const problem = new HoopError('HOOP_TARGET_UNREACHABLE', 'the toy is broken', { cause });
      return this.#context.signal.aborted ? { reason: 'ended' } : { reason: 'failed', problem };
    } finally {
      socket.destroy();
    }
  }

  async #answer(
    line: string,
    at: number,
    socket: Socket,
    answers: AsyncGenerator<Line>,
  ): Promise<string> {
    const { audit } = this.#served;
    const verb = line.split(' ')[0] ?? '';
    const verdict = decide(this.#context.grant(), line);
    if ('code' in verdict) {
      audit.refused(at, operation(verb, { refusal: verdict }), verdict);
      return `ERR ${verdict.code} ${verdict.message}`;
    }
    const number = audit.allowed(at, operation(verb, verdict));
    const { approvals: demands } = verdict;
    if (demands.length > 0) {
      const { stream } = this.#served;
      const why = await this.#hold({ stream, line, at, demands, policyCommit: this.#commit });
      if (why !== undefined) return `ERR ${why}`;
    }
    // Nothing goes to the target that is not on record.
    audit.write();
    socket.write(`${line}\n`);
    const answer = (await answers.next()).value?.line ?? 'ERR gone';
    audit.ended(at, number, { tag: answer.split(' ')[0] });
    return answer;
  }

  get #commit(): string {
    return this.#context.grant().commit;
  }

  /** @returns why it does not happen */
  async #hold(ask: ToyAsk): Promise<string | undefined> {
    const { client, clientLeft, audit } = this.#served;
    const hold = new Hold<ToyAsk, Verdict>({
      at: ask.at,
      approvals: this.#approvals(),
      audit,
      words: ({ line }) => ({ manner: HOLD_MANNER, what: line }),
      again: async () => {
        const now = decide(this.#context.grant(), ask.line);
        if ('code' in now) return undefined;
        return { now, ask: { ...ask, demands: now.approvals, policyCommit: this.#commit } };
      },
      generation: () => this.#context.grant().generation,
      tell: (_, { id }) => void client.write(`HELD ${id}\n`),
      onWaiting: this.#context.onWaiting,
    });
    using _ = onAbort(clientLeft, () => hold.withdraw('the client left'));
    const outcome = await hold.pass(ask);
    if (outcome.type === 'released') return undefined;
    return outcome.type === 'refused' ? outcome.refusal.message : outcome.type;
  }

  #approvals() {
    return commandApprovals<ToyAsk>(
      { ...this.#context, target: this.#target },
      {
        format: 'toy/v1',
        bound: ({ line, demands }) => [this.#target.name, line, demands],
        shown: ({ line }) => ({ verb: 'line', text: line, user: 'toy', touches: [] }),
      },
    );
  }
}

interface Line {
  readonly line: string;
  /** Bytes before it. */
  readonly at: number;
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
