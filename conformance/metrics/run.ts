/**
 * `npm run conformance:metrics`: promtool, of Debian's prometheus package, judges the gateway's metrics,
 * the alert rules with their tests, and every expression of the dashboard.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import * as z from 'zod';
import { startGatewayBench } from '../../test/gateway/gateway-bench.ts';
import { TestSession } from '../../test/gateway/test-session.ts';

const Dashboard = z.object({
  panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })).optional() })),
});

const directory = mkdtempSync(join(tmpdir(), 'hoop-promtool-'));
try {
  const promtool = fetchPromtool(directory);
  const judge = (what: string, args: readonly string[], input?: string): void => {
    execFileSync(promtool, args, { input, stdio: ['pipe', 'inherit', 'inherit'] });
    process.stdout.write(`ok   ${what}\n`);
  };
  judge('metrics of a gateway', ['check', 'metrics'], await scrape());
  judge('alert rules', ['check', 'rules', 'monitoring/alerts.yaml']);
  judge('tests of the alert rules', ['test', 'rules', 'monitoring/alerts.test.yaml']);
  const rules = join(directory, 'panels.yaml');
  writeFileSync(rules, panelRules());
  judge('expressions of the dashboard', ['check', 'rules', rules]);
  process.stdout.write('4 passed, 0 failed\n');
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Unpacks promtool from Debian's package without installing a service. */
function fetchPromtool(into: string): string {
  execFileSync('apt-get', ['download', '-q', 'prometheus'], { cwd: into, stdio: 'ignore' });
  const file = readdirSync(into).find((name) => name.endsWith('.deb'));
  if (file === undefined) throw new Error('apt-get downloaded no package');
  execFileSync('dpkg', ['-x', join(into, file), join(into, 'prometheus')]);
  return join(into, 'prometheus', 'usr', 'bin', 'promtool');
}

async function scrape(): Promise<string> {
  await using bench = await startGatewayBench({
    isPolicyFixed: true,
    config: 'metrics: { listen: "127.0.0.1:0" }',
  });
  const session = await TestSession.open(bench, 'engineer');
  await session.close();
  const { port } = bench.log.events.find(({ event }) => event === 'metrics.listening') ?? {};
  const { body } = await request(`http://127.0.0.1:${String(port)}/metrics`);
  return body.text();
}

/** promtool checks no dashboards, so each expression becomes a recording rule. */
function panelRules(): string {
  const { panels } = Dashboard.parse(
    JSON.parse(readFileSync('monitoring/grafana-dashboard.json', 'utf8')),
  );
  const rules = panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }, index) => ({ record: `panel:${index}`, expr }));
  return JSON.stringify({ groups: [{ name: 'dashboard', rules }] });
}
