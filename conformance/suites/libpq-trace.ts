/**
 * What libpq itself says of the messages that it sends and gets (PQtrace), in fixed conversations:
 * conformance/libpq/trace.c, compiled here.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clientProgram } from '../installation.ts';
import type { Outputs, ServerInstallation, Suite } from '../suite.ts';

const SOURCE = fileURLToPath(new URL('../libpq/trace.c', import.meta.url));
const TIMEOUT_MS = 120_000;

export const libpqTrace: Suite = {
  name: 'libpq-trace',
  missing(_options, server) {
    const compiler = spawnSync('cc', ['--version']);
    const headers = includeDirectory(server);
    if (compiler.status === 0 && existsSync(join(headers, 'libpq-fe.h'))) return undefined;
    return 'it needs a C compiler and libpq-fe.h; on Debian: apt-get install gcc libc6-dev libpq-dev';
  },
  async run(context) {
    const program = join(context.scratch, 'trace');
    const compiled = await context.runProgram('cc', [
      ...['-Wall', `-I${includeDirectory(context.server)}`, SOURCE, '-o', program, '-lpq'],
    ]);
    if (compiled.exitCode !== 0) {
      throw new Error(`trace.c does not compile: ${compiled.stderr.slice(-2000)}`);
    }
    const { exitCode, stdout, stderr } = await context.runProgram(program, [], {
      timeoutMs: TIMEOUT_MS,
    });
    if (exitCode !== 0 && context.lane.name === 'direct') {
      throw new Error(`trace does not run straight on the server: ${stderr.slice(-2000)}`);
    }
    return new Map([...conversations(stdout), ['exit status', `${exitCode}\n${stderr}`]]);
  },
};

function includeDirectory(server: ServerInstallation): string {
  const said = spawnSync(clientProgram(server, 'pg_config'), ['--includedir'], {
    encoding: 'utf8',
  });
  return said.status === 0 ? said.stdout.trim() : '';
}

/**
 * Each begins with its name. Authentication is not compared: it is with whoever owns the local port,
 * its nonces are random, and libpq cannot print it.
 */
function conversations(text: string): Outputs {
  return new Map(
    text
      .split(/^== /m)
      .slice(1)
      .map((part) => {
        const name = part.slice(0, part.indexOf('\n'));
        return [name, part.slice(Math.max(0, part.search(/^B\t\d+\tParameterStatus/m)))];
      }),
  );
}
