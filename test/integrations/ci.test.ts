/**
 * The files for CI systems, run as far as that is possible without them: the steps of the GitHub Action
 * with the variables that a runner sets, against a real gateway; the others for what they say.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from '../e2e/demo-bench.ts';

const ROOT = fileURLToPath(new URL('../../integrations/', import.meta.url));
const ACTION = join(ROOT, 'github-action');

/** https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax */
const Step = z.union([
  z.strictObject({
    name: z.string(),
    if: z.string().optional(),
    uses: z.string(),
    with: z.record(z.string(), z.string()),
  }),
  z.strictObject({
    name: z.string(),
    id: z.string().optional(),
    shell: z.string(),
    'working-directory': z.string().optional(),
    env: z.record(z.string(), z.string()),
    run: z.string(),
  }),
]);
const ActionFile = z.strictObject({
  name: z.string(),
  description: z.string().max(125),
  inputs: z.record(
    z.string(),
    z.strictObject({
      description: z.string(),
      required: z.boolean().optional(),
      default: z.string().optional(),
    }),
  ),
  outputs: z.record(z.string(), z.strictObject({ description: z.string(), value: z.string() })),
  runs: z.strictObject({ using: z.literal('composite'), steps: z.array(Step) }),
});
/** The part of CircleCI's steps that the test runs. */
const Steps = z
  .array(
    z.union([
      z.string(),
      z.record(
        z.string(),
        z.object({ name: z.string().optional(), command: z.string().optional() }),
      ),
    ]),
  )
  .transform((steps) =>
    steps.flatMap((step) => (typeof step === 'string' || !step['run'] ? [] : [step['run']])),
  );
/** The part of a workflow that the tests read. */
const Workflow = z.object({
  jobs: z.record(
    z.string(),
    z.object({
      strategy: z.object({ matrix: z.record(z.string(), z.array(z.string())) }).optional(),
      steps: z.array(z.object({ run: z.string().optional() })),
    }),
  ),
});
const action = ActionFile.parse(parse(readFileSync(join(ACTION, 'action.yml'), 'utf8')));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-ci-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

interface JobRun {
  readonly status: number;
  readonly output: string;
  readonly outputs: string;
  readonly summary: string;
}

/** As a runner does it: step by step, until one fails; PATH grows by what they add to it. */
async function runAction(
  inputs: Readonly<Record<string, string>>,
  job: {
    readonly home: string;
    readonly path: string;
    /** Of the runner, beside those of every job. */
    readonly variables?: Readonly<Record<string, string>>;
  },
): Promise<JobRun> {
  const files = ['GITHUB_OUTPUT', 'GITHUB_PATH', 'GITHUB_STEP_SUMMARY'].map(
    (name): [string, string] => [name, join(directory, name)],
  );
  for (const [, file] of files) {
    writeFileSync(file, '');
  }
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  let output = '';
  let status = 0;
  for (const step of action.runs.steps) {
    if (status !== 0 || !('run' in step)) {
      continue;
    }
    const added = read('GITHUB_PATH').split('\n').filter(Boolean);
    const env = Object.entries(step.env).map(([name, value]) => [name, evaluate(value, inputs)]);
    const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: childEnvironment({
        home: job.home,
        variables: {
          ...job.variables,
          ...Object.fromEntries(files),
          CI: 'true',
          GITHUB_ACTIONS: 'true',
          GITHUB_ACTION_PATH: ACTION,
          RUNNER_TEMP: directory,
          PATH: [...added, job.path].join(':'),
          ...Object.fromEntries(env),
        },
      }),
    });
    const [out, err] = [text(child.stdout), text(child.stderr)];
    const [code] = await once(child, 'exit');
    status = Number(code);
    output += (await out) + (await err);
  }
  return { status, output, outputs: read('GITHUB_OUTPUT'), summary: read('GITHUB_STEP_SUMMARY') };
}

/** The only expressions that the steps may use. */
function evaluate(value: string, inputs: Readonly<Record<string, string>>): string {
  return value.replace(/\$\{\{ inputs\.([a-z0-9-]+) \}\}/g, (_all, name: string) => {
    expect(Object.keys(action.inputs)).toContain(name);
    return inputs[name] ?? action.inputs[name]?.default ?? '';
  });
}

/** `hoop` on PATH, as an installed package has it. */
function installedHoop(): string {
  const bin = join(directory, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'hoop'), `#!/bin/sh\nexec "${process.execPath}" "${LAUNCHER}" "$@"\n`);
  chmodSync(join(bin, 'hoop'), 0o755);
  return [bin, dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(':');
}

interface MadePackage {
  readonly file: string;
  readonly sha256: string;
  /** Exists if an install script of the package ran. */
  readonly scriptRan: string;
}

/** Packs a program that prints its name and arguments, as npm packs hoop. */
async function makePackage(): Promise<MadePackage> {
  const source = join(directory, 'package');
  mkdirSync(source);
  const scriptRan = join(directory, 'ran');
  writeFileSync(
    join(source, 'hoop.js'),
    '#!/usr/bin/env node\nconsole.log("hoop", ...process.argv.slice(2));\n',
  );
  writeFileSync(
    join(source, 'package.json'),
    JSON.stringify({
      name: 'made-hoop',
      version: '9.9.9',
      bin: { hoop: 'hoop.js' },
      scripts: { postinstall: `touch ${scriptRan}` },
    }),
  );
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory], {
    cwd: source,
  });
  const file = join(directory, 'made-hoop-9.9.9.tgz');
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  return { file, sha256, scriptRan };
}

/** PATH of a runner that has node and npm, and no hoop. */
function pathWithNpm(): string {
  const npm = execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
  return [dirname(process.execPath), dirname(npm), '/usr/bin', '/bin'].join(':');
}

describe('the GitHub Action', () => {
  test('gives inputs to scripts as variables, and never as code', () => {
    for (const step of action.runs.steps) {
      if ('run' in step) {
        expect(step.run).not.toContain('${{');
        expect(step.shell).toBe('bash');
      }
    }
  });

  test('has scripts that bash reads and that can be executed', () => {
    for (const name of ['install.sh', 'run.sh']) {
      const file = join(ACTION, name);
      execFileSync('bash', ['-n', file]);
      expect(() => accessSync(file, constants.X_OK)).not.toThrow();
    }
  });

  test('installs a package without its scripts, for the steps that follow', async () => {
    const made = await makePackage();
    const run = await runAction(
      {
        gateway: 'https://gw.invalid',
        package: made.file,
        'package-sha256': made.sha256,
        run: 'true',
        targets: 'prod-db\nreports',
        reason: 'a "reason"; $(touch pwned) `touch pwned`',
      },
      { home: directory, path: pathWithNpm() },
    );
    expect(run.output).toContain('hoop --version');
    expect(run.output).not.toContain('::warning');
    expect(run.output).toContain(
      'hoop run --target prod-db --target reports --reason a "reason"; $(touch pwned) `touch pwned` -- bash',
    );
    expect(run.status).toBe(0);
    expect(existsSync(made.scriptRan)).toBe(false);
    expect(existsSync(join(directory, 'pwned'))).toBe(false);
  });

  test('stops before it installs a package with another checksum', async () => {
    const made = await makePackage();
    const run = await runAction(
      {
        gateway: 'https://gw.invalid',
        package: made.file,
        'package-sha256': '0'.repeat(64),
        run: 'true',
      },
      { home: directory, path: pathWithNpm() },
    );
    expect(run.output).toContain('::error title=hoop::the package does not have the SHA-256');
    expect(run.status).toBe(1);
    expect(existsSync(join(directory, 'hoop', 'bin'))).toBe(false);
  });

  test('warns about a package that has no checksum to compare with', async () => {
    const made = await makePackage();
    const run = await runAction(
      { gateway: 'https://gw.invalid', package: made.file, run: 'true' },
      { home: directory, path: pathWithNpm() },
    );
    expect(run.output).toContain('::warning title=hoop::the package was not checked');
    expect(run.status).toBe(0);
  });

  test('says what to name when hoop is not there', async () => {
    const run = await runAction(
      { gateway: 'https://gw.invalid', run: 'true' },
      { home: directory, path: '/usr/bin:/bin' },
    );
    expect(run.status).toBe(1);
    expect(run.output).toContain('::error title=hoop::hoop is not installed');
  });

  describe('on a real gateway', () => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await openBench();
    });
    afterAll(async () => {
      await bench[Symbol.asyncDispose]();
    });

    function job(run: string) {
      const inputs = { gateway: bench.demo.gateway, ca: bench.demo.ca, run, targets: 'prod-db' };
      return runAction(inputs, { home: bench.home('engineer'), path: installedHoop() });
    }

    test('runs the commands on the target, and the job has a summary', async () => {
      const run = await job(
        'psql -XAt -c "SELECT 40 + 2" \necho "input: $(printenv HOOP_INPUT_RUN || echo none)"',
      );
      expect(run.output).toContain('\n42\n');
      expect(run.output).toContain('input: none');
      expect(run.output).not.toContain('\x1b');
      expect(run.status).toBe(0);
      expect(run.outputs).toBe('status=0\n');
      expect(run.summary).toContain('recording complete, signed by both sides');
    });

    test('is known by the token of its job: nobody has logged in, and there is no secret', async () => {
      const { ACTIONS_ID_TOKEN_REQUEST_URL = '', ACTIONS_ID_TOKEN_REQUEST_TOKEN = '' } =
        bench.demo.ci.env;
      const home = join(directory, 'runner-home');
      mkdirSync(home, { mode: 0o700 });
      const sql = 'psql -XAt -v ON_ERROR_STOP=1 -c';
      const run = await runAction(
        {
          gateway: bench.demo.gateway,
          ca: bench.demo.ca,
          targets: 'prod-db',
          run: `${sql} "SELECT count(*) > 0 FROM orders"\n${sql} "SELECT full_name FROM customers"\necho on`,
        },
        {
          home,
          path: installedHoop(),
          variables: { ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN },
        },
      );
      expect(run.output).toContain('\nt\n');
      expect(run.output).toContain('SELECT on public.customers is not allowed');
      expect(run.output).not.toContain('\non\n');
      expect(run.status).not.toBe(0);
      expect(run.summary).toContain('`workload:nightly-report`');
      expect(run.output + run.summary).not.toContain(ACTIONS_ID_TOKEN_REQUEST_TOKEN);
      const bare = await runAction(
        { gateway: bench.demo.gateway, ca: bench.demo.ca, targets: 'prod-db', run: 'true' },
        { home: mkdtempSync(join(directory, 'home-')), path: installedHoop() },
      );
      expect(bare.status).not.toBe(0);
      expect(bare.output).toContain('id-token: write');
    });

    test('refuses a gateway whose root key is not the one of the input', async () => {
      const { ACTIONS_ID_TOKEN_REQUEST_URL = '', ACTIONS_ID_TOKEN_REQUEST_TOKEN = '' } =
        bench.demo.ci.env;
      const run = await runAction(
        {
          gateway: bench.demo.gateway,
          ca: bench.demo.ca,
          'gateway-key': `SHA256:${'A'.repeat(43)}`,
          run: 'true',
          targets: 'prod-db',
        },
        {
          home: mkdtempSync(join(directory, 'home-')),
          path: installedHoop(),
          variables: { ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN },
        },
      );
      expect(run.output).toContain('the gateway has an unexpected root key');
      expect(run.status).toBe(255);
    });

    test('fails with the status of the command that failed, and says so in the summary', async () => {
      const run = await job('psql -Xq -v ON_ERROR_STOP=1 -c "DROP TABLE orders" | cat\necho on');
      expect(run.output).not.toContain('\non\n');
      expect(run.status).toBe(1);
      expect(run.outputs).toBe('status=1\n');
      expect(run.summary).toContain('HOOP_DENIED');
    });
  });
});

describe('the other files', () => {
  test('the GitLab template asks for a token of the gateway’s audience and keeps the summary', () => {
    const file = parse(readFileSync(join(ROOT, 'gitlab', 'hoop.gitlab-ci.yml'), 'utf8'));
    expect(file['.hoop']).toMatchObject({
      id_tokens: { HOOP_ID_TOKEN: { aud: '$HOOP_GATEWAY/workload' } },
      artifacts: { when: 'always', paths: ['hoop-summary.md'] },
    });
  });

  test('the GitLab template stops without a gateway, and needs no package where hoop is', () => {
    const run = (gateway: string): string =>
      gitlabPreparation({ PATH: installedHoop(), HOOP_GATEWAY: gateway });
    expect(run('')).toContain('HOOP_GATEWAY is not set\nstatus 2');
    expect(run('https://gw.invalid')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('the GitLab template installs a package with the right checksum only', async () => {
    const made = await makePackage();
    const prepare = (sha256: string): string =>
      gitlabPreparation({
        PATH: `${join(directory, 'global', 'bin')}:${pathWithNpm()}`,
        HOME: directory,
        npm_config_prefix: join(directory, 'global'),
        HOOP_GATEWAY: 'https://gw.invalid',
        HOOP_PACKAGE: made.file,
        HOOP_PACKAGE_SHA256: sha256,
      });
    expect(prepare('0'.repeat(64))).toContain('does not have the SHA-256');
    expect(existsSync(join(directory, 'global', 'bin', 'hoop'))).toBe(false);
    expect(prepare(made.sha256)).toContain('hoop --version');
    expect(existsSync(made.scriptRan)).toBe(false);
  });

  test('the CircleCI example installs a package with the right checksum only', async () => {
    const made = await makePackage();
    const file = parse(readFileSync(join(ROOT, 'examples', 'circleci.yml'), 'utf8'));
    const step = Steps.parse(file.jobs.report.steps).find(({ name }) => name === 'Install hoop');
    const install = (sha256: string): number | null =>
      spawnSync('bash', ['-eo', 'pipefail', '-c', step?.command ?? 'false'], {
        env: {
          PATH: pathWithNpm(),
          HOME: directory,
          HOOP_PACKAGE: made.file,
          HOOP_PACKAGE_SHA256: sha256,
        },
      }).status;
    expect(install('0'.repeat(64))).not.toBe(0);
    expect(existsSync(join(directory, '.local', 'bin', 'hoop'))).toBe(false);
    expect(install(made.sha256)).toBe(0);
    expect(existsSync(join(directory, '.local', 'bin', 'hoop'))).toBe(true);
    expect(existsSync(made.scriptRan)).toBe(false);
  });

  test('every image and every action that a file names is pinned and new enough for hoop', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, '..', 'package.json'), 'utf8'));
    const [, oldestMinor = NaN] = String(engines.node).replace('>=', '').split('.').map(Number);
    const circleci = readFileSync(join(ROOT, 'examples', 'circleci.yml'), 'utf8');
    expect(Number(/cimg\/node:24\.(\d+)/.exec(circleci)?.[1])).toBeGreaterThanOrEqual(oldestMinor);
    for (const name of ['action.yml', 'README.md']) {
      const used = readFileSync(join(ACTION, name), 'utf8').matchAll(/uses: (actions\/\S+)/g);
      for (const [, action] of used) {
        expect(action).toMatch(/@[0-9a-f]{40}$/);
      }
    }
  });

  /** Runs the template's `before_script` as GitLab's runner does. */
  function gitlabPreparation(env: Readonly<Record<string, string>>): string {
    const file = parse(readFileSync(join(ROOT, 'gitlab', 'hoop.gitlab-ci.yml'), 'utf8'));
    const script = ['set -e', ...file['.hoop'].before_script].join('\n');
    return execFileSync('sh', ['-c', `(${script}) 2>&1 || echo "status $?"`], {
      env: { HOOP_PACKAGE: '', HOOP_PACKAGE_SHA256: '', ...env },
      encoding: 'utf8',
    });
  }

  test.each(['circleci.yml', 'buildkite.yml'])('%s is YAML that names the gateway', (name) => {
    const content = readFileSync(join(ROOT, 'examples', name), 'utf8');
    expect(parse(content)).toBeTypeOf('object');
    expect(content).toContain('HOOP_GATEWAY: https://');
  });

  test('the script for all others is one', () => {
    execFileSync('bash', ['-n', join(ROOT, 'examples', 'plain.sh')]);
  });
});

describe("the project's own workflows", () => {
  const workflows = ['ci.yml', 'nightly.yml'].map((name) => {
    const content = readFileSync(join(ROOT, '..', '.github', 'workflows', name), 'utf8');
    return { name, content, jobs: Workflow.parse(parse(content)).jobs };
  });
  const { scripts } = z
    .object({ scripts: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(ROOT, '..', 'package.json'), 'utf8')));

  test('run only scripts that package.json has', () => {
    const called = workflows.flatMap(({ jobs }) =>
      Object.values(jobs).flatMap(({ strategy, steps }) => [
        ...steps.flatMap(({ run = '' }) => /^npm run ([\w:]+)/.exec(run)?.[1] ?? []),
        ...(strategy?.matrix['script'] ?? []),
      ]),
    );
    expect(called.length).toBeGreaterThan(10);
    expect(called.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  test('name every action by its commit, and get no right but to read', () => {
    for (const { content } of workflows) {
      const used = [...content.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
      expect(used.every((action) => /@[0-9a-f]{40}$/.test(action ?? ''))).toBe(true);
      expect(content).toContain('permissions: { contents: read }');
    }
  });
});
