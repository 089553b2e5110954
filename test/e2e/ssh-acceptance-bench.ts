/** What the acceptance cases of servers share: one demo, open sessions, and what was recorded of them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { DownFrame, UpFrame } from '../../src/connectors/ssh/protocol/frame.ts';
import { FrameDecoder } from '../../src/connectors/ssh/protocol/frame-decoder.ts';
import { childEnvironment, type HoopService, startHoop } from '../../src/demo/hoop-process.ts';
import type { OpensshServer } from '../../src/demo/openssh-server.ts';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { readSession, type SessionReading } from '../../src/recording/ended/read-session.ts';
import type { Direction } from '../../src/recording/formats/types.ts';
import type { Statement, TimelineEntry } from '../../src/replay/timeline.ts';
import { buildTimeline } from '../replay/timeline.ts';
import type { Bench } from './demo-bench.ts';
import { openSshBench, type SshBench } from './ssh-bench.ts';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

/** A `hoop connect TARGET --json` that stays. */
export interface OpenSession {
  readonly service: HoopService;
  readonly id: string;
  readonly config: string;
  readonly port: number;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

export class AcceptanceBench implements AsyncDisposable {
  readonly #servers: SshBench;
  readonly #stack: AsyncDisposableStack;
  readonly place: string;
  /** Says `hello `, and gives back what it gets; ends when its client does. */
  readonly echoPort: number;

  private constructor(
    servers: SshBench,
    stack: AsyncDisposableStack,
    place: string,
    echoPort: number,
  ) {
    this.#servers = servers;
    this.#stack = stack;
    this.place = place;
    this.echoPort = echoPort;
  }

  static async open(localName?: string): Promise<AcceptanceBench> {
    await using stack = new AsyncDisposableStack();
    const place = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-accept-')));
    stack.defer(() => rmSync(place, { recursive: true, force: true }));
    mkdirSync(join(place, 'open'));
    mkdirSync(join(place, 'closed'));
    const echo = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.write('hello ');
      socket.pipe(socket);
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    stack.defer(() => void echo.close());
    const address = echo.address();
    const echoPort = address !== null && typeof address === 'object' ? address.port : 0;
    const servers = await openSshBench(openRules(place, echoPort), [
      { name: 'web-2', policy: strictRules(echoPort, localName) },
      { name: 'web-3', policy: policyFor('web-3', ALL), hostKeys: [OTHER_HOST_KEY] },
      { name: 'web-4', policy: policyFor('web-4', ASKS) },
    ]);
    stack.use(servers);
    return new AcceptanceBench(servers, stack.move(), place, echoPort);
  }

  get bench(): Bench {
    return this.#servers.bench;
  }

  get server(): OpensshServer {
    return this.#servers.server;
  }

  async connect(target: string): Promise<OpenSession> {
    const lines: Record<string, unknown>[] = [];
    const service = await startHoop(['connect', target, '--json'], 'listening', {
      home: this.bench.home('engineer'),
      onLine: (line) => lines.push({ ...line }),
    });
    const { session, config, port } = service.ready;
    return { service, id: String(session), config: String(config), port: Number(port), lines };
  }

  /** Runs a program to its end; input is closed at once unless there is some. */
  async run(
    program: string,
    args: readonly string[],
    options: { readonly input?: Uint8Array; readonly variables?: Record<string, string> } = {},
  ): Promise<Ran> {
    const child = spawn(program, args, {
      env: childEnvironment({
        home: this.bench.home('engineer'),
        variables: { ...options.variables },
      }),
      cwd: this.place,
    });
    // Who reads no more says so by its exit status.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);
    const exit = once(child, 'exit');
    const [bytes, errors] = await Promise.all([buffer(child.stdout), buffer(child.stderr)]);
    const [status] = await exit;
    return { status, stdout: String(bytes), stderr: String(errors), bytes };
  }

  /** One whose output nobody reads. */
  stopped(program: string, args: readonly string[]): ChildProcess {
    return spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  }

  /** What the gateway has of a session that has been uploaded. */
  async reading(session: string): Promise<Recorded> {
    return new Recorded(readSession(bytesSource(await this.bench.bundle('engineer', session))));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** A recording of a session on a server. */
export class Recorded {
  readonly reading: SessionReading;
  readonly entries: readonly TimelineEntry[];

  constructor(reading: SessionReading) {
    this.reading = reading;
    this.entries = [...buildTimeline(reading.timeline())];
  }

  get acts(): readonly Statement[] {
    return this.entries.filter((entry) => entry.type === 'statement');
  }

  /** The only act whose text has this. */
  act(text: string): Statement {
    const found = this.acts.filter((act) => act.text.includes(text));
    const [act] = found;
    if (act === undefined || found.length > 1) {
      throw new Error(`${found.length} recorded acts have "${text}"`);
    }
    return act;
  }

  /** Frames of the channel of an act, each with its direction, as they were recorded. */
  *frames(act: Statement): Generator<{ readonly direction: Direction; readonly frame: Frame }> {
    const decoders = [FrameDecoder.up(), FrameDecoder.down()] as const;
    const stream = this.reading.streams.find((candidate) => candidate.stream === act.stream);
    for (const { direction, bytes } of stream?.pieces() ?? []) {
      const decoder = decoders[direction];
      decoder.feed(Uint8Array.from(bytes));
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        if ('channel' in frame && frame.channel === act.channel?.channel) {
          yield { direction, frame };
        }
      }
    }
  }

  /** What went over the channel of an act: input up, output down. */
  data(act: Statement): { readonly input: Buffer; readonly output: Buffer } {
    const data: [Buffer[], Buffer[]] = [[], []];
    for (const { direction, frame } of this.frames(act)) {
      if (frame.type === 'data') {
        data[direction].push(Buffer.from(frame.data));
      }
    }
    return { input: Buffer.concat(data[0]), output: Buffer.concat(data[1]) };
  }
}

type Frame = UpFrame | DownFrame;

/** Until the other end closes it. */
export async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) {
    socket.resume();
    await once(socket, 'close');
  }
}

const ALL = ['{ name: work, allow: { ssh: [shell, exec, sftp] } }'];
const ASKS = [
  '{ name: unknown, approve: { ssh: exec, commands: unknown, approvers: [approvers] } }',
];
/** Of nobody. */
const OTHER_HOST_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKckWHXNctH3ArYMBwULXp2gu/bPtl5gKj6ez/dkEeEu';

function policyFor(target: string, rules: readonly string[]): string {
  return [
    `name: on-${target}`,
    'who: { groups: [engineering] }',
    `targets: { names: [${target}] }`,
    'rules:',
    ...rules.map((rule) => `  - ${rule}`),
    '',
  ].join('\n');
}

/** Everything but a folder, and one destination. */
function openRules(place: string, echoPort: number): string {
  return policyFor('web-1', [
    ...ALL,
    `{ name: no-closed, deny: { ssh: sftp, paths: ["${place}/closed/**"] }, hint: "Ask the owners." }`,
    `{ name: echo, allow: { ssh: forward, destinations: ["127.0.0.1:${echoPort}"] } }`,
  ]);
}

/** A few commands, `rm` never; a name, and not where it leads. */
function strictRules(echoPort: number, localName: string | undefined): string {
  return policyFor('web-2', [
    '{ name: known, allow: { ssh: exec, commands: ["echo **", "true", "x **"] } }',
    '{ name: no-rm, deny: { ssh: exec, commands: ["rm **"] }, hint: "People remove nothing." }',
    ...(localName === undefined
      ? []
      : [`{ name: by-name, allow: { ssh: forward, destinations: ["${localName}:${echoPort}"] } }`]),
  ]);
}
