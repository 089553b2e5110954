/** The HTTP API of active runs: api/runs.ts. Their people see and end them, approvers all. */
import type { Hono } from 'hono';
import { API_VERSION, PATHS } from '../../api/http.ts';
import {
  type EndRunReply,
  EndRunRequest,
  MAX_RUN_PROMPT,
  RUN_ENDED_BY,
  RUN_PATHS,
  type RunShown,
  type RunsReply,
  type RunView,
} from '../../api/runs.ts';
import { HoopError } from '../../errors.ts';
import { isSessionId } from '../../session-id.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { Ctx, Env, Guards } from '../http/api-context.ts';
import { readJson } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import type { Authenticated, Identity, LiveRun } from '../identity/identity.ts';
import { isSamePrincipal } from '../sessions/session-places.ts';
import type { Sessions } from '../sessions/sessions.ts';

export interface LiveRunRoutesOptions {
  readonly identity: Pick<Identity, 'runs' | 'endRun' | 'requireLive'>;
  readonly sessions: Pick<Sessions, 'ofRun'>;
  readonly approvals: Pick<Approvals, 'openOfRun'>;
}

const MAX_BODY_BYTES = 16 * 1024;

/** Not for runs: they neither see nor end one another. */
export function addLiveRunRoutes(
  app: Hono<Env>,
  { authenticated }: Guards,
  options: LiveRunRoutesOptions,
): void {
  const { identity } = options;
  const seen = async ({ principal }: Authenticated): Promise<readonly LiveRun[]> => {
    const runs = await identity.runs();
    return runs
      .filter((one) => principal.roles.includes('approver') || isOwn(one, principal))
      .toSorted((a, b) => b.startedAtMs - a.startedAtMs);
  };
  const find = async (c: Ctx, who: Authenticated): Promise<LiveRun> => {
    const id = c.req.param('id') ?? '';
    const found = isSessionId(id) ? (await seen(who)).find(({ run }) => run.id === id) : undefined;
    if (found === undefined) {
      throw new HoopError('HOOP_RUN_UNKNOWN', 'there is no such active run', {
        hint: '`hoop runs list` shows the runs that you may see.',
      });
    }
    return found;
  };

  app.get(
    PATHS.runs,
    authenticated(async (_c, who) => {
      const runs: RunView[] = [];
      for (const one of await seen(who)) runs.push(await runView(options, one, false));
      return json({ v: API_VERSION, runs } satisfies RunsReply);
    }),
  );
  app.get(
    RUN_PATHS.run(':id'),
    authenticated(async (c, who) => {
      const run = await runView(options, await find(c, who), true);
      return json({ v: API_VERSION, run } satisfies RunShown);
    }),
  );
  app.post(
    RUN_PATHS.end(':id'),
    authenticated(async (c, who) => {
      const one = await find(c, who);
      const { reason } = await readJson(c.req.raw, EndRunRequest, MAX_BODY_BYTES);
      await identity.requireLive(who);
      const by = isOwn(one, who.principal) ? 'its owner' : who.principal.name;
      const why = reason?.trim() ? `: ${reason.trim()}` : '';
      const endMessage = `${RUN_ENDED_BY} ${by}${why}`;
      // With its login: what is left of it opens nothing again.
      const logins = await identity.endRun(one.family, endMessage, who.principal);
      const run = one.run.id;
      c.get('log').info('run.ended_by', { run, by: who.principal.name, endMessage, logins });
      return json({ v: API_VERSION, run, endMessage, logins } satisfies EndRunReply);
    }),
  );
}

function isOwn(run: LiveRun, principal: Authenticated['principal']): boolean {
  return isSamePrincipal(run.principal, principal);
}

async function runView(
  { sessions, approvals }: LiveRunRoutesOptions,
  { run, principal, startedAtMs, endsAtMs }: LiveRun,
  withPrompts: boolean,
): Promise<RunView> {
  const { id, parent, agent, program, reason, targets } = run;
  const { issuer, sub, name } = principal;
  const live = sessions.ofRun(id);
  const held = await approvals.openOfRun(id);
  const prompts = new Map(
    live.flatMap(({ prompt }) => {
      if (prompt === undefined) return [];
      const text = prompt.text.slice(0, MAX_RUN_PROMPT).toWellFormed();
      return [[`${prompt.source} ${text}`, { source: prompt.source, text }]];
    }),
  );
  return {
    id,
    requester: { issuer, sub, name },
    ...(parent === undefined ? {} : { parent }),
    ...(agent === undefined ? {} : { agent }),
    ...(program === undefined ? {} : { program }),
    ...(reason === undefined ? {} : { reason }),
    ...(targets === undefined ? {} : { targets: [...targets] }),
    startedAt: new Date(startedAtMs).toISOString(),
    expiresAt: new Date(endsAtMs).toISOString(),
    sessions: live.map((session) => ({ id: session.id, target: session.targetName })),
    held: held.map(({ id: request, target, state }) => ({ id: request, target, state })),
    ...(withPrompts ? { prompts: [...prompts.values()] } : {}),
  };
}
