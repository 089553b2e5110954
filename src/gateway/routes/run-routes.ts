/** `POST /v1/runs`: a login of its own for one run of a program. */
import type { Hono } from 'hono';
import { API_VERSION, PATHS } from '../../api/http.ts';
import { type RunReply, RunRequest } from '../../api/runs.ts';
import { HoopError } from '../../errors.ts';
import { withoutFolder } from '../../policy/agents.ts';
import type { Principal } from '../../policy/types.ts';
import type { AccessRequests } from '../access/access-requests.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import type { Blocks } from '../blocks/blocks.ts';
import { type Env, type Guards, identityRequest } from '../http/api-context.ts';
import { readJson } from '../http/http-body.ts';
import { json, reply } from '../http/http-replies.ts';
import type { Identity } from '../identity/identity.ts';
import { whoamiReply } from '../identity/whoami-reply.ts';
import type { PolicyHistory } from '../index/policy-history.ts';
import { agentOfRun } from '../runs/run-agent.ts';
import { targetsReply } from './targets-reply.ts';

export interface RunRoutesOptions {
  readonly identity: Identity;
  readonly policy: GatewayPolicy;
  readonly history: PolicyHistory;
  readonly access: AccessRequests;
  readonly blocks: Pick<Blocks, 'require'>;
}

const MAX_BODY_BYTES = 128 * 1024;
/** Linux has no longer names of files. */
const MAX_PROGRAM_LENGTH = 255;
/** In a hint. */
const MAX_NAMES = 20;

export function addRunRoutes(
  app: Hono<Env>,
  { alsoRuns }: Guards,
  options: RunRoutesOptions,
): void {
  const { identity, policy, access, blocks } = options;
  app.post(
    PATHS.runs,
    alsoRuns(async (c, who) => {
      const asked = await readJson(c.req.raw, RunRequest, MAX_BODY_BYTES);
      const agent = agentOfRun(policy.inForce(), who.principal, asked);
      blocks.require({ ...who.principal, ...(agent && { agent }) });
      const reason = asked.reason?.trim() || who.run?.reason;
      requireReachable(policy, { ...who.principal, ...(agent && { agent }) }, asked.targets);
      const program = recordedProgram(asked.command);
      try {
        const { jkt, proof } = asked;
        const started = await identity.startRun(identityRequest(c), who, {
          jkt,
          proof,
          agent,
          program,
          reason,
          targets: asked.targets,
        });
        const { id, parent } = started.run;
        const principal = who.principal.name;
        c.get('log').info('run.start', { run: id, parent, agent, program, principal });
        return json(
          {
            v: API_VERSION,
            run: id,
            ...(parent === undefined ? {} : { parent }),
            ...(agent === undefined ? {} : { agent }),
            token: started.token,
            expiresAt: new Date(started.who.endsAtMs).toISOString(),
            whoami: whoamiReply(started.who),
            reachable: await targetsReply(options, started.who.principal),
            requestable: access.requestable(who.principal),
          } satisfies RunReply,
          201,
        );
      } catch (error) {
        // With the challenge that asks for a nonce: the proof in the body may lack one, too.
        const refusal = identity.refusal(error);
        if (refusal === undefined) {
          throw error;
        }
        return reply(refusal);
      }
    }),
  );
}

/** Arguments hold secrets; the name says which program it was. What is no whole text nobody could sign. */
function recordedProgram([program = '']: readonly string[]): string | undefined {
  return withoutFolder(program).slice(0, MAX_PROGRAM_LENGTH).toWellFormed() || undefined;
}

/** Said before the run begins, with what it could reach. @throws HOOP_ACCESS_DENIED */
function requireReachable(
  policy: Pick<GatewayPolicy, 'grant' | 'granted'>,
  principal: Principal,
  asked: readonly string[] = [],
): void {
  const missing = asked.find((name) => policy.grant(principal, name) === undefined);
  if (missing !== undefined) {
    const names = policy.granted(principal).map(({ target }) => target.name);
    const some = names.slice(0, MAX_NAMES).join(', ');
    throw new HoopError('HOOP_ACCESS_DENIED', `no access to target "${missing}"`, {
      detail: 'This run has no access there, or there is no such target.',
      hint:
        names.length === 0
          ? 'It would reach no target. See what you can request with `hoop access list`.'
          : `It may reach ${some}${names.length > MAX_NAMES ? ', …' : ''}.`,
    });
  }
}
