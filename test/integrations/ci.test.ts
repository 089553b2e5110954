/**
 * The files for CI systems, run as far as that is possible without them: the steps of the GitHub Action
 * with the variables that a runner sets, against a real gateway; the others for what they say.
 */
import { execFileSync, spawn } from 'node:child_process';
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
  return value.replace(/\$\{\{ inputs\.([a-z-]+) \}\}/g, (_all, name: string) => {
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
    const source = join(directory, 'package');
    mkdirSync(source);
    const ran = join(directory, 'ran');
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
        scripts: { postinstall: `touch ${ran}` },
      }),
    );
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory], {
      cwd: source,
    });
    const npm = execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
    const path = [dirname(process.execPath), dirname(npm), '/usr/bin', '/bin'].join(':');
    const run = await runAction(
      {
        gateway: 'https://gw.invalid',
        package: join(directory, 'made-hoop-9.9.9.tgz'),
        run: 'true',
        targets: 'prod-db\nreports',
        reason: 'a "reason"; $(touch pwned) `touch pwned`',
      },
      { home: directory, path },
    );
    expect(run.output).toContain('hoop --version');
    expect(run.output).toContain(
      'hoop run --target prod-db --target reports --reason a "reason"; $(touch pwned) `touch pwned` -- bash',
    );
    expect(run.status).toBe(0);
    expect(existsSync(ran)).toBe(false);
    expect(existsSync(join(directory, 'pwned'))).toBe(false);
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

  test('its preparation stops without a gateway, and does without a package', () => {
    const file = parse(readFileSync(join(ROOT, 'gitlab', 'hoop.gitlab-ci.yml'), 'utf8'));
    const script = ['set -e', ...file['.hoop'].before_script].join('\n');
    const run = (gateway: string): string =>
      execFileSync('sh', ['-c', `(${script}) 2>&1 || echo "status $?"`], {
        env: { PATH: installedHoopOnce(), HOOP_GATEWAY: gateway, HOOP_PACKAGE: '' },
        encoding: 'utf8',
      });
    expect(run('')).toContain('HOOP_GATEWAY is not set\nstatus 2');
    expect(run('https://gw.invalid')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  let known: string | undefined;
  function installedHoopOnce(): string {
    known ??= installedHoop();
    return known;
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
