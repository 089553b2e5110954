/** What `hoop doctor` looks at, in the order in which one thing rests on another. */

import type { InfoReply, WhoamiReply } from '../../api/login.ts';
import { groupsProblem } from '../../auth/groups-problem.ts';
import { openGateway, readCa, requireGateway } from '../../auth/open-gateway.ts';
import { checkGatewayKeys, readTrust, rootKeyFingerprint } from '../../auth/trust.ts';
import { GatewayClient } from '../../client/gateway-client.ts';
import { CONNECTORS } from '../../connectors/registry.ts';
import { HoopError } from '../../errors.ts';
import { locateHome, readConfig } from '../../home.ts';
import { packageVersion } from '../../package-version.ts';
import { policyConnectors } from '../../policy/connector.ts';
import { checkRepository } from '../../policy/repo/check-policy.ts';
import { proxyFor } from '../../proxy.ts';
import { pendingUploads } from '../../recording/client/pending-uploads.ts';
import { spoolsOf } from '../../tunnel/spools-of.ts';
import { verifyGatewayPolicy } from '../../tunnel/verify-gateway-policy.ts';
import { spanOf } from '../../ui/approvals/approval-lines.ts';
import { type DoctorCheck, passed } from '../../ui/doctor-lines.ts';
import { duration, localTime, plural } from '../../ui/text/times.ts';
import { requireProgram } from '../child/find-program.ts';
import type { Io } from '../io.ts';
import { certificateCheck, machineChecks, providerChecks } from './doctor-machine.ts';

/** Each check that asks somebody; a doctor that hangs tells nothing. */
const CHECK_WITHIN_MS = 20_000;
/** The gateway refuses proofs that are further off than 5 min (identity/dpop-proof.ts). */
const MAX_SKEW_MS = 5 * 60_000;
/** HTTP dates have whole seconds, and an answer takes time. */
const NOTABLE_SKEW_MS = 30_000;

export async function doctorChecks(io: Io): Promise<readonly DoctorCheck[]> {
  const checks: DoctorCheck[] = [runtime(), ...(await machineChecks(io))];
  checks.push(program(io, 'git', 'without it hoop cannot verify the policy', 'failed'));
  checks.push(program(io, 'ssh-keygen', 'without it hoop cannot verify the policy', 'failed'));
  checks.push(program(io, 'psql', 'any other PostgreSQL client works too', 'warning'));
  const reached = await gateway(io);
  checks.push(...reached.checks);
  if (reached.info !== undefined) {
    checks.push(await certificateCheck(io, reached.baseUrl));
    checks.push(...(await providerChecks(reached.info, withDeadline(io))));
    checks.push(...(await login(io, reached.info)));
  }
  checks.push(await recordings(io));
  return checks;
}

function runtime(): DoctorCheck {
  // The launcher has seen to it that this one is new enough.
  return passed('runtime', `hoop ${packageVersion()} on Node.js ${process.versions.node}`);
}

function program(io: Io, name: string, why: string, otherwise: 'failed' | 'warning'): DoctorCheck {
  try {
    requireProgram(name, { cwd: io.cwd, path: io.env['PATH'] });
    return passed(name, 'found on PATH');
  } catch (error) {
    const hint = `Install "${name}": ${why}.`;
    return { name, status: otherwise, text: explained(error).text, hint };
  }
}

type Reached =
  | { readonly checks: readonly DoctorCheck[]; readonly info: undefined }
  | {
      readonly checks: readonly DoctorCheck[];
      readonly info: InfoReply;
      readonly baseUrl: string;
    };

/** The configuration, the way to the gateway, its clock, its keys: all that needs no login. */
async function gateway(io: Io): Promise<Reached> {
  let baseUrl: string;
  let client: GatewayClient;
  try {
    const config = readConfig(locateHome(io.env), io.env);
    baseUrl = requireGateway(config, io.env);
    client = new GatewayClient({ baseUrl, ca: readCa(config.ca, io.env) });
  } catch (error) {
    return { checks: [failedBy('gateway', error)], info: undefined };
  }
  await using _ = client;
  const startedMs = Date.now();
  const through = proxyCheck(baseUrl);
  let info: InfoReply;
  try {
    info = await client.info(withDeadline(io));
  } catch (error) {
    io.signal.throwIfAborted();
    return { checks: [...through, failedBy('gateway', error)], info: undefined };
  }
  const tookMs = Date.now() - startedMs;
  const checks = [
    ...through,
    passed('gateway', `${baseUrl} answers over TLS in ${duration(tookMs)}, hoop ${info.version}`),
    clockCheck(client.lastDateMs, startedMs + tookMs / 2),
    keys(io, baseUrl, info),
  ];
  return { checks, info, baseUrl };
}

/** Says which proxy is used; where none is set there is nothing to say. */
function proxyCheck(baseUrl: string): DoctorCheck[] {
  const proxy = proxyFor(baseUrl, process.env);
  return proxy === undefined
    ? []
    : [passed('proxy', `the gateway is reached through ${proxy.shown} (${proxy.variable})`)];
}

export function clockCheck(theirsMs: number | undefined, oursMs: number): DoctorCheck {
  if (theirsMs === undefined) {
    return { name: 'clock', status: 'skipped', text: 'the gateway does not report its time' };
  }
  const skewMs = Math.abs(theirsMs - oursMs);
  if (skewMs <= NOTABLE_SKEW_MS) {
    return passed('clock', 'agrees with the gateway');
  }
  const direction = theirsMs > oursMs ? 'behind' : 'ahead of';
  return {
    name: 'clock',
    status: skewMs >= MAX_SKEW_MS ? 'failed' : 'warning',
    text: `this machine is ${spanOf(skewMs)} ${direction} the gateway`,
    hint: `Set the clock (NTP); at ${spanOf(MAX_SKEW_MS)} the gateway admits nobody.`,
  };
}

function keys(io: Io, baseUrl: string, info: InfoReply): DoctorCheck {
  const name = 'keys';
  try {
    const pinned = readTrust(locateHome(io.env)).get(baseUrl);
    const { pin, firstUse } = checkGatewayKeys(pinned, baseUrl, info, Date.now());
    return firstUse
      ? skipped(name, 'not known yet; the first login pins them')
      : passed(name, `gateway "${pin.gateway}", root key ${rootKeyFingerprint(pin.rootKey)}`);
  } catch (error) {
    return failedBy(name, error);
  }
}

/** What needs a login: it, where it is kept, and the policy. */
async function login(io: Io, info: InfoReply): Promise<DoctorCheck[]> {
  try {
    await using open = await openGateway(io);
    const who = await open.client.whoami(withDeadline(io));
    return [
      passed('login', `${who.name}, until ${localTime(Date.parse(who.expiresAt))}`),
      groups(who),
      passed('tokens', `in the ${open.tokens.store.description}`),
      await policyInForce(io, open),
      await policyRepository(io, info, open.pin.allowedSigners),
    ];
  } catch (error) {
    io.signal.throwIfAborted();
    return [failedBy('login', error), skipped('policy', 'needs a login')];
  }
}

/** Without a group one is logged in, and the policy gives one nothing. */
function groups(who: WhoamiReply): DoctorCheck {
  const name = 'groups';
  if (who.kind !== 'person') {
    return skipped(name, 'a job has none: its entry in the policy says what it may do');
  }
  const problem = groupsProblem(who);
  return problem === undefined
    ? passed(name, who.groups.join(', '))
    : { name, status: 'warning', text: `the login ${problem.text}`, hint: problem.hint };
}

async function policyInForce(
  io: Io,
  open: Awaited<ReturnType<typeof openGateway>>,
): Promise<DoctorCheck> {
  const name = 'policy';
  try {
    const signal = withDeadline(io);
    const reply = await open.client.policy(signal);
    const verified = await verifyGatewayPolicy({ ...open, reply, env: io.env, signal });
    const text = `commit ${reply.commit.slice(0, 12)}, signed by ${verified.signer}, verified here`;
    return reply.problem === undefined
      ? passed(name, text)
      : {
          name,
          status: 'warning',
          text: `${text}; a newer one is not in force: ${reply.problem}`,
          hint: 'Tell the people who review the policy.',
        };
  } catch (error) {
    io.signal.throwIfAborted();
    return failedBy(name, error);
  }
}

/** Where this machine cannot fetch it the gateway sends it, so that this is no failure. */
async function policyRepository(
  io: Io,
  { policy }: InfoReply,
  allowedSigners: string,
): Promise<DoctorCheck> {
  const name = 'repository';
  const { repository, branch } = policy;
  if (repository === undefined) {
    return skipped(name, 'only the gateway has access; it sends the policy');
  }
  try {
    const { commit, signer } = await checkRepository({
      connectors: await policyConnectors(CONNECTORS),
      ...{ repository, branch, allowedSigners, env: io.env },
      signal: withDeadline(io),
    });
    return passed(name, `fetched, newest commit ${commit?.slice(0, 12)} by ${signer}`);
  } catch (error) {
    io.signal.throwIfAborted();
    const { text, hint } = explained(error);
    return {
      name,
      status: 'warning',
      text,
      hint: `The policy comes from the gateway instead, and is still verified.${hint === undefined ? '' : ` ${hint}`}`,
    };
  }
}

async function recordings(io: Io): Promise<DoctorCheck> {
  const name = 'recordings';
  const broken: string[] = [];
  try {
    const directory = spoolsOf(locateHome(io.env));
    const waiting = await pendingUploads(directory, (session) => broken.push(session));
    if (broken.length > 0) {
      return failed(
        name,
        `${plural(broken.length, 'recording')} in "${directory}" cannot be read`,
        'Keep the directory, and tell whoever runs the gateway.',
      );
    }
    return waiting.length === 0
      ? passed(name, 'all signed by both sides')
      : {
          name,
          status: 'warning',
          text: `${plural(waiting.length, 'recording')} not signed by both sides yet`,
          hint: 'They are sent with your next `hoop connect` to their gateway.',
        };
  } catch (error) {
    return failedBy(name, error);
  }
}

function withDeadline({ signal }: Io): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(CHECK_WITHIN_MS)]);
}

function failed(name: string, text: string, hint: string): DoctorCheck {
  return { name, status: 'failed', text, hint };
}

function skipped(name: string, text: string): DoctorCheck {
  return { name, status: 'skipped', text };
}

/** @throws what is no error of hoop or of the system: a bug is not a finding. */
function failedBy(name: string, error: unknown): DoctorCheck {
  return { name, status: 'failed', ...explained(error) };
}

function explained(error: unknown): Pick<DoctorCheck, 'text' | 'hint' | 'code'> {
  if (error instanceof HoopError) {
    const { code, message, detail, hint } = error;
    const advice = [detail, hint].filter((part) => part !== undefined).join(' ');
    return { code, text: message, ...(advice === '' ? {} : { hint: advice }) };
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { text: `no answer in ${duration(CHECK_WITHIN_MS)}`, hint: 'Try again later.' };
  }
  if (error instanceof Error && 'syscall' in error) {
    return { text: error.message };
  }
  throw error;
}
