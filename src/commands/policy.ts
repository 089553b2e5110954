import { Argument, Command } from 'commander';
import type { PolicyConnector } from '../policy/connector.ts';
import type { Policy, PolicyProblem } from '../policy/policy.ts';
import type { Io } from './io.ts';

interface CheckFlags {
  readonly repo?: string;
  readonly branch: string;
  readonly allowedSigners?: string;
  readonly askGateway?: boolean;
  readonly json?: boolean;
}

interface ShowFlags {
  readonly json?: boolean;
}

export function policyCommand(io: Io): Command {
  const policy = new Command('policy').description(
    'check policy files, print their schema, show the policy in force',
  );
  policy
    .command('check')
    .description('report every problem in a policy directory or repository')
    .argument('[directory]', 'a checkout of the policy repository', '.')
    .option('--repo <url>', 'check the newest commit of this repository instead')
    .option('--branch <name>', 'branch of --repo', 'main')
    .option('--allowed-signers <file>', 'check the signature of --repo against this file')
    .option('--ask-gateway', 'also report approver groups that nobody has logged in with')
    .option('--json', 'print it as JSON')
    .action((directory: string, flags: CheckFlags) => runCheck(io, directory, flags));
  policy
    .command('schema')
    .description('print the JSON Schema of a policy file, for editors')
    .addArgument(
      new Argument('[file]', 'which kind of file')
        .choices(['hoop', 'target', 'policy', 'agent'])
        .default('policy'),
    )
    .action((file: string) => runSchema(io, file));
  policy
    .command('show')
    .description('show the policy that the gateway enforces, verified by this client')
    .option('--json', 'print it as JSON')
    .action((flags: ShowFlags) => runShow(io, flags));
  return policy;
}

async function runCheck(io: Io, directory: string, flags: CheckFlags): Promise<void> {
  const { readFileSync } = await import('node:fs');
  const { resolve } = await import('node:path');
  const { HoopError } = await import('../errors.ts');
  const { checkDirectory, checkRepository } = await import('../policy/repo/check-policy.ts');
  const { renderPolicyCheck, renderPolicyCheckJson } = await import('../ui/render-policy.ts');
  const checked =
    flags.repo === undefined
      ? checkDirectory(resolve(io.cwd, directory), await connectors())
      : await checkRepository({
          connectors: await connectors(),
          repository: flags.repo,
          branch: flags.branch,
          allowedSigners:
            flags.allowedSigners === undefined
              ? undefined
              : readFileSync(resolve(io.cwd, flags.allowedSigners), 'utf8'),
          env: io.env,
          signal: io.signal,
        });
  const { policy } = checked;
  const more =
    flags.askGateway === true && policy !== undefined ? await askGateway(io, policy) : [];
  const check = { ...checked, warnings: [...checked.warnings, ...more] };
  io.stdout.write(
    flags.json === true ? renderPolicyCheckJson(check) : renderPolicyCheck(check, io.color.stdout),
  );
  if (check.problems.length > 0) {
    const count = check.problems.length;
    throw new HoopError(
      'HOOP_POLICY_INVALID',
      count === 1 ? 'the policy has a problem' : `the policy has ${count} problems`,
    );
  }
}

/** Files alone do not say who has ever logged in. */
async function askGateway(io: Io, policy: Policy): Promise<readonly PolicyProblem[]> {
  const { openGateway } = await import('../auth/open-gateway.ts');
  const { approverWarnings } = await import('../policy/approver-groups.ts');
  await using open = await openGateway(io);
  const { approverGroups } = await open.client.policy(io.signal);
  return approverGroups === undefined ? [] : approverWarnings(policy, approverGroups);
}

async function connectors(): Promise<readonly PolicyConnector[]> {
  const { CONNECTORS } = await import('../connectors/registry.ts');
  const { policyConnectors } = await import('../policy/connector.ts');
  return policyConnectors(CONNECTORS);
}

async function runSchema(io: Io, file: string): Promise<void> {
  const { POLICY_FILES, policyJsonSchema } = await import('../policy/schema/json-schema.ts');
  const kind = POLICY_FILES.find((known) => known === file) ?? 'policy';
  io.stdout.write(`${JSON.stringify(policyJsonSchema(kind, await connectors()), null, 2)}\n`);
}

async function runShow(io: Io, flags: ShowFlags): Promise<void> {
  const { openGateway } = await import('../auth/open-gateway.ts');
  const { verifyGatewayPolicy } = await import('../tunnel/verify-gateway-policy.ts');
  const { renderPolicy, renderPolicyJson } = await import('../ui/render-policy.ts');
  await using open = await openGateway(io);
  const reply = await open.client.policy(io.signal);
  const verified = await verifyGatewayPolicy({ ...open, reply, env: io.env, signal: io.signal });
  io.stdout.write(
    flags.json === true ? renderPolicyJson(reply, verified) : renderPolicy(reply, verified),
  );
}
