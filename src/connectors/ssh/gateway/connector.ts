/** SSH as the gateway's sessions see it. */

import { commandApprovals } from '../../../gateway/approvals/command-approvals.ts';
import type { SessionApprovalsOptions } from '../../../gateway/approvals/session-approvals.ts';
import type {
  CheckServices,
  ConnectorSession,
  GatewayConnector,
  GatewayServices,
  OpenConnector,
  SessionContext,
} from '../../../gateway/connector.ts';
import { placesOf } from '../../../gateway/targets/target-host.ts';
import { shownHosts } from '../../../gateway/targets/targets.ts';
import { ownerOf } from '../../../owner-turns.ts';
import type { PolicyTarget } from '../../../policy/policy.ts';
import { credentialName } from '../../../policy/principal-grant.ts';
import { decideSsh } from '../policy/decide-ssh.ts';
import { loginsOnOffer } from '../policy/logins.ts';
import { isServer, type SshAct, type SshPolicyTarget } from '../policy/types.ts';
import { verbOf } from './act-words.ts';
import { CommandJudge } from './command-judge.ts';
import { connectSshTarget } from './connect-target.ts';
import { currentSshTarget } from './current-target.ts';
import { systemResolver } from './name-resolver.ts';
import { resolveSshTarget } from './resolve-target.ts';
import { serveSshStream } from './serve-ssh-stream.ts';
import type { SshApprovals, SshTarget } from './types.ts';

export const sshGateway: GatewayConnector = { open, check };

function open(services: GatewayServices): OpenConnector {
  // Of all sessions.
  const shared = { services, commands: new CommandJudge(), resolver: systemResolver() };
  return {
    async prepare({ target, grant }, principal) {
      const policyTarget = server(target);
      const offered = loginsOnOffer(policyTarget, principal, grant);
      const resolved = await resolveSshTarget(services, policyTarget, offered);
      const users = resolved.logins.map(({ user }) => user);
      return {
        reply: { kind: 'ssh', name: target.name, users, hearsNotCarried: true },
        open: (context) => openSession(shared, resolved, context),
      };
    },
    [Symbol.asyncDispose]: () => shared.commands[Symbol.asyncDispose](),
  };
}

interface Shared {
  readonly services: GatewayServices;
  readonly commands: CommandJudge;
  readonly resolver: ReturnType<typeof systemResolver>;
}

/** @param target as it was when the session began */
function openSession(
  { services, commands, resolver }: Shared,
  target: SshTarget,
  context: SessionContext,
): ConnectorSession {
  const { principal } = context;
  const owner = ownerOf(principal);
  const grantChanged = new Set<() => void>();
  const currentTarget = currentSshTarget({ ...services, principal, name: target.name });
  const session: ConnectorSession = {
    hosts: target.hosts,
    serve: (stream) =>
      serveSshStream({
        ...stream,
        ...context,
        target,
        currentTarget,
        onGrantChanged(listener) {
          grantChanged.add(listener);
          return () => grantChanged.delete(listener);
        },
        decide: decideSsh,
        judge: (by, user, act) => commands.decide(owner, by, user, act),
        approvals: actApprovals({ ...context, target }),
        resolver,
      }),
    policyChanged() {
      // Each connection looks for itself whether it may go on.
      for (const listener of grantChanged) listener();
      return undefined;
    },
  };
  return session;
}

async function check(services: CheckServices, policyTarget: PolicyTarget): Promise<string> {
  const target = server(policyTarget);
  const credential = credentialName(target, { groups: [] });
  const alone = credential === undefined ? [] : [{ user: undefined, credential }];
  const offered = target.logins.length > 0 ? target.logins : alone;
  const resolved = await resolveSshTarget(services, target, offered);
  const shown = { ...resolved, hosts: shownHosts(resolved.hosts) };
  let software = '';
  for (const login of shown.logins) {
    const connection = await connectSshTarget({ target: shown, login, signal: services.signal });
    software = connection.software;
    connection.client.on('error', () => undefined).end();
    connection.socket.destroy();
  }
  return `${software}, logged in as ${shown.logins.map(({ user }) => user).join(', ')}`;
}

function server(target: PolicyTarget): SshPolicyTarget {
  if (!isServer(target)) throw new TypeError(`target "${target.name}" is not a server`);
  return target;
}

// What the SSH engine asks about what somebody wants to do on a server, as requests of one session.

export interface ActApprovalsOptions extends SessionApprovalsOptions {
  readonly target: SshTarget;
}

/**
 * Bound to the act, where, as which user of the server, and what the policy says about it: when one
 * of these is another, it is another act. What a command means on the server (its folder, its
 * files, its PATH) nobody can bind.
 */
export function actApprovals(options: ActApprovalsOptions): SshApprovals {
  const { name, hosts, hostKeys } = options.target;
  return commandApprovals(options, {
    format: 'hoop/approval-binding/ssh/v2',
    bound: ({ act, user, command, demands }) => [
      [name, user, placesOf(hosts), [...hostKeys].sort()],
      demands.map(({ rule, terms }) => [rule.id, rule.grant ?? null, terms]),
      // Each part by itself: an arrow may stand in a path.
      [act.kind, verbOf(act), partsOf(act), command ?? null],
    ],
    shown: ({ act, command, user, touches }) => ({
      verb: verbOf(act),
      text: command ?? textOf(act),
      user,
      touches: [...touches],
    }),
  });
}

function partsOf(act: SshAct): readonly unknown[] {
  return act.kind === 'file' ? [act.path, act.to ?? null] : [textOf(act)];
}

function textOf(act: SshAct): string {
  switch (act.kind) {
    case 'shell':
    case 'sftp':
      return act.kind;
    case 'exec':
      return act.command ?? '';
    case 'file':
      return act.to === undefined ? act.path : `${act.path} → ${act.to}`;
    case 'forward':
      return `${act.host}:${act.port}`;
  }
}
