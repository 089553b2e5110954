/**
 * A fence around one command: its own network with nothing in it but the listeners that hoop holds,
 * its own processes, and the files that are meant for it. Made by bubblewrap, without root.
 *
 *   open     sh → bwrap → inside.ts                       the namespaces stand, nothing runs yet
 *   listen   inside.ts listens, hoop gets the listener    hoop accepts from the child's network
 *   become   inside.ts turns into the command             nothing of hoop is left inside
 *
 * What the listeners are for is the caller's: local ports of targets, the proxy to allowed hosts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, openSync, readlinkSync, realpathSync } from 'node:fs';
import { Server } from 'node:net';
import { homedir, constants as system } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { type Home, locateHome } from '../../home.ts';
import { localUser } from '../../local-user.ts';
import { childOf } from '../child-of.ts';
import { RunCgroup } from '../run-cgroup.ts';
import type { ChildStdio, PseudoTerminal } from '../terminal/pseudo-terminal.ts';
import { bubblewrapArguments, INPUT } from './bubblewrap-arguments.ts';
import {
  changedMeanwhile,
  commandFailed,
  explainFailure,
  noBubblewrap,
  noFilter,
  notLinux,
  PlaceGone,
} from './explain-failure.ts';
import type { FromInside, ToInside } from './fence-messages.ts';
import { type FenceView, type FenceViewOptions, fenceView } from './fence-view.ts';
import { FirstProcess } from './first-process.ts';
import { type Known, readKnown, recordKnown } from './known-places.ts';
import type { Layer } from './layers.ts';
import { type LentInput, lentInput, requireHarmless } from './lent-descriptors.ts';
import { listeningSockets } from './listening-sockets.ts';
import { readMounts } from './mount-table.ts';
import { pathOutside } from './path-outside.ts';
import { requireMounts } from './require-mounts.ts';
import { systemCallFilter } from './system-call-filter.ts';

/** From dist/ it is a .js file, from src/ (tests) a .ts file: as this one. */
const INSIDE = fileURLToPath(new URL(`./inside${import.meta.url.slice(-3)}`, import.meta.url));
const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));

/** Descriptors of bwrap: 0 to 2, the channel to inside.ts, then what we add. */
const STDERR = 4;
const ARGUMENTS = 5;
const FILTER = 6;
/** How often the view is made while places of it vanish. */
const MAX_VIEWS = 5;
const MAX_SAID_CHARACTERS = 16_384;

/**
 * Signals of the terminal, of its end and of a supervisor go to every process of the group: the
 * command shall do what it does about them. bwrap, which only waits, would die and take it along.
 * (inside.ts sets them to the default again: Node.js does for itself.)
 * A terminal that the command shall have of its own becomes that of the session by being opened.
 */
const DEAF = `if [ -n "$1" ]; then : <>"$1"; fi; shift; trap '' HUP INT QUIT TERM; exec "$@"`;
/** bwrap's own errors go to hoop, what the command says to where it belongs. */
const OWN_STDIO = `if [ -n "$1" ]; then exec <"$1"; fi; shift; exec 2>&${STDERR} ${STDERR}>&-; exec "$@"`;

export interface FenceOptions
  extends Omit<
    FenceViewOptions,
    'ownPlaces' | 'homes' | 'programs' | 'sockets' | 'mounts' | 'known' | 'unsteady'
  > {
  readonly home: Home;
  readonly signal: AbortSignal;
  /** Descriptors that become 0 to 2 of the command; default: our own. */
  readonly stdio?: readonly [number, number, number];
  /** Of its own for the command, which leads no session then but is a job: see jobShell. */
  readonly terminal?: Pick<PseudoTerminal, 'path' | 'device' | 'cover'> | undefined;
}

export class Fence implements AsyncDisposable {
  readonly view: FenceView;
  readonly #child: ChildProcess;
  readonly #ended: Promise<readonly [code: number | null, signal: NodeJS.Signals | null]>;
  readonly #writable: readonly { readonly path: string }[];
  readonly #input: LentInput | undefined;
  readonly #cgroup: RunCgroup | undefined;
  #said = '';
  /** As seen from here; the command once it has become it. */
  #innerProcess: number | undefined;
  #first: FirstProcess | undefined;

  /** @throws HoopError HOOP_FENCE, HOOP_USAGE */
  static async open(options: FenceOptions): Promise<Fence> {
    if (process.platform !== 'linux') {
      throw notLinux();
    }
    const filter = systemCallFilter(process.arch);
    if (filter === undefined) {
      throw noFilter(process.arch);
    }
    requireHarmless(options.terminal === undefined ? (options.stdio ?? [0, 1, 2]) : []);
    const gone = new Set<string>();
    for (let left = MAX_VIEWS - 1; ; left -= 1) {
      try {
        return await Fence.#set(filter, options, [...new Set([...gone].map(dirname))]);
      } catch (error) {
        // A socket of some program, and its directory, may go at any moment: then all is looked at anew.
        if (!(error instanceof PlaceGone)) throw error;
        if (left === 0) throw gone.has(error.path) ? error.lasting : error;
        gone.add(error.path);
      }
    }
  }

  static async #set(
    filter: Buffer,
    options: FenceOptions,
    unsteady: readonly string[],
  ): Promise<Fence> {
    const { view, known } = decideView(options, unsteady);
    const writable = [...known.places, ...view.known.places];
    const fence = new Fence(view, writable, filter, options);
    try {
      await fence.#receive(options.signal);
      fence.#first = FirstProcess.below(
        fence.#child.pid,
        options.terminal,
        fence.#cgroup?.directory,
      );
      fence.#innerProcess = fence.#first === undefined ? undefined : childOf(fence.#first.pid);
      requireMounts(fence.#innerProcess, [...view.layers, ...fence.#inputLayers()]);
    } catch (error) {
      await fence[Symbol.asyncDispose]();
      throw error;
    }
    return fence;
  }

  private constructor(
    view: FenceView,
    writable: readonly { readonly path: string }[],
    filter: Buffer,
    options: FenceOptions,
  ) {
    const { terminal } = options;
    this.#writable = writable;
    const program = findBubblewrap(this.pathOutside(options.env['PATH'] ?? ''));
    this.#input = terminal === undefined ? lentInput(options.stdio?.[0] ?? 0) : undefined;
    const [input, output, errors]: readonly [ChildStdio, ChildStdio, ChildStdio] =
      terminal === undefined ? (options.stdio ?? [0, 1, 2]) : ['pipe', terminal.device, 'pipe'];
    const runtime = options.env['XDG_RUNTIME_DIR'] || `/run/user/${process.getuid?.()}`;
    const args = bubblewrapArguments({
      view,
      filterDescriptor: FILTER,
      isRoot: process.getuid?.() === 0,
      runtimeDirectory: runtime.startsWith('/run/') ? runtime : '/run/user',
      ...(this.#input === undefined ? {} : { input: this.#input.path }),
    });
    const inner = [process.execPath, '--disable-warning=ExperimentalWarning', INSIDE];
    const command = [program, '--args', String(ARGUMENTS), '--', '/bin/sh', '-c', OWN_STDIO, 'sh'];
    const lent = this.#input === undefined ? '' : INPUT;
    this.view = view;
    const path = terminal?.path ?? '';
    const stdio: ChildStdio[] = [input, output, 'pipe', 'ipc', errors, 'pipe', 'pipe'];
    const start = (): ChildProcess =>
      spawn('/bin/sh', ['-c', DEAF, 'sh', path, ...command, lent, ...inner], {
        // `kill(0, …)` reaches a whole process group, also outside of the namespace. On a terminal
        // the command has to belong to hoop's job.
        detached: terminal !== undefined || !hasTerminal(),
        // NODE_OPTIONS and the like are the command's, and would be read inside before the time.
        env: { PATH: options.env['PATH'] },
        stdio: terminal === undefined ? stdio : terminal.cover(stdio),
      });
    // Of a cgroup that is the person's (a terminal of the desktop), the command could mount the tree
    // in namespaces of its own, and freeze or kill all that is in it: hoop, the shell, the editor.
    this.#cgroup = RunCgroup.make(basename(options.runState));
    this.#child = this.#cgroup === undefined ? start() : this.#cgroup.within(start);
    this.#ended = once(this.#child, 'close').then(([code, signal]) => [code, signal]);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-MAX_SAID_CHARACTERS);
    });
    this.#write(ARGUMENTS, Buffer.from(args.map((word) => `${word}\0`).join('')));
    this.#write(FILTER, filter);
  }

  /** Its place may be in the project, where another run can put a link. */
  #inputLayers(): readonly Layer[] {
    return this.#input === undefined
      ? []
      : [{ path: INPUT, as: 'readable', isDirectory: false, source: this.#input.path }];
  }

  /** PATH for programs that hoop runs outside meanwhile: without what any run could write. */
  pathOutside(path: string): string {
    return pathOutside(path, this.#writable);
  }

  /** A listener on a free port of the child's 127.0.0.1, or on this one. Whoever takes it closes it. */
  async listen(signal: AbortSignal, port = 0): Promise<Server> {
    this.#send({ type: 'listen', port });
    const server = await this.#receive(signal);
    if (server === undefined) {
      throw new HoopError('HOOP_FENCE', 'the fence gave no listener');
    }
    return server;
  }

  /**
   * Runs the command inside. Once only.
   * @throws HoopError HOOP_MISSING_PROGRAM
   */
  async become(command: readonly string[], env: NodeJS.ProcessEnv): Promise<FencedCommand> {
    const variables = Object.entries(env).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    );
    this.#send({
      type: 'become',
      command,
      env: Object.fromEntries(variables),
      cwd: this.view.cwd,
      skip: this.#input?.position ?? 0,
    });
    await Promise.race([this.#receive(undefined), once(this.#child, 'disconnect')]);
    return {
      pid: this.#innerProcess,
      orders: this.#child.stdin,
      reports: this.#reports,
      exited: this.#exitStatus(),
      kill: (signal) => this.#kill(signal),
    };
  }

  /** Ends what runs inside, all of it. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    // bwrap's end is the end of its first process, and with it of the namespace.
    this.#killAll();
    await this.#ended;
    // bwrap does not wait for it.
    await this.#first?.end();
    await this.#cgroup?.remove();
  }

  /** Stderr of the shell around the command. */
  get #reports(): Readable | undefined {
    const pipe = this.#child.stdio[STDERR];
    return pipe instanceof Readable ? pipe : undefined;
  }

  #send(message: ToInside): void {
    // What cannot be sent any more shows as the end of the child, which is waited for.
    this.#child.send(message, () => undefined);
  }

  /** The next thing that is said inside, with the listener that came with it. */
  async #receive(signal: AbortSignal | undefined): Promise<Server | undefined> {
    const over = new AbortController();
    const wait = { signal: AbortSignal.any([over.signal, ...(signal ? [signal] : [])]) };
    try {
      const [message, handle] = await Promise.race([
        once(this.#child, 'message', wait),
        this.#ended.then(() => {
          throw explainFailure(this.#said);
        }),
      ]);
      requireSuccess(message);
      return handle instanceof Server ? handle : undefined;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      over.abort();
    }
  }

  async #exitStatus(): Promise<number> {
    const over = new AbortController();
    const held = this.#innerProcess && this.#first?.outlives(this.#innerProcess, over.signal);
    const [code, signal] = await this.#ended;
    over.abort();
    // Process 1 may go on without bwrap: what is read next must have nobody who writes it.
    await this.#first?.end();
    return (await held) ?? code ?? 128 + (signal === null ? 0 : system.signals[signal]);
  }

  #kill(signal: NodeJS.Signals): void {
    // Nothing is to go on then: neither what the command has started, nor what it has stopped.
    if (signal === 'SIGKILL' || this.#innerProcess === undefined) {
      this.#killAll();
      return;
    }
    try {
      process.kill(this.#innerProcess, signal);
    } catch (error) {
      // It has ended meanwhile, which is waited for elsewhere.
      if (errorCode(error) !== 'ESRCH') {
        throw error;
      }
    }
  }

  #killAll(): void {
    this.#child.kill('SIGKILL');
    this.#first?.kill();
  }

  #write(descriptor: number, bytes: Buffer): void {
    const pipe = this.#child.stdio[descriptor];
    if (pipe instanceof Writable) {
      // A bwrap that ends before it has read says why on stderr.
      pipe.on('error', () => undefined);
      pipe.end(bytes);
    }
  }
}

export interface FencedCommand {
  /** As seen from outside. */
  readonly pid: number | undefined;
  /** With a terminal of its own: what the shell around it is told, and tells. */
  readonly orders: Writable | null;
  readonly reports: Readable | undefined;
  /** 128 + signal number when a signal ended it. */
  readonly exited: Promise<number>;
  /** To the command itself, not to what is around it; SIGKILL ends all that is inside. */
  readonly kill: (signal: NodeJS.Signals) => void;
}

function requireSuccess(message: FromInside): void {
  if (message.type !== 'failed') {
    return;
  }
  const { program, code } = message;
  throw program === undefined
    ? new HoopError('HOOP_FENCE', `no port could be opened inside the fence: ${code}`)
    : commandFailed(program, message);
}

/**
 * What is mapped is decided and written down before anything runs inside. Where another run begins
 * meanwhile in the same place, what it has written down goes first.
 */
function decideView(
  options: FenceOptions,
  unsteady: readonly string[],
): { readonly view: FenceView; readonly known: Known } {
  const homes = homesOfHoop(options.env);
  const [ours] = homes;
  const { homedir: ofSystem } = localUser();
  requireCurrent(options.cwd);
  const sockets = listeningSockets([options.cwd]);
  const mounts = readMounts('self');
  for (;;) {
    const known = readKnown(homes);
    const view = fenceView({
      ...options,
      ownPlaces: [
        ...[options.home, ...homes].flatMap(({ config, state, runtime }) => [
          config,
          state,
          runtime,
        ]),
        codeCache(options.env),
      ],
      homes: [homedir(), ...(ofSystem === undefined ? [] : [ofSystem])],
      programs: [process.execPath, PACKAGE, ...modulesAround(PACKAGE)],
      sockets,
      mounts,
      known,
      unsteady,
    });
    recordKnown(ours, known, view.known);
    const after = readKnown(homes);
    const expected = [...known.places, ...view.known.places].map(({ path }) => path);
    if (after.places.every(({ path }) => expected.includes(path))) {
      return { view, known };
    }
  }
}

/**
 * The kernel knows which directory we are in; its name may by now be that of a link.
 * @throws HoopError HOOP_FENCE
 */
function requireCurrent(cwd: string): void {
  if (cwd === process.cwd() && readlinkSync('/proc/self/cwd') !== realpathSync(cwd)) {
    throw changedMeanwhile(cwd);
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY));
    return true;
  } catch {
    // ENXIO: a job of CI, a service, a tool of an agent.
    return false;
  }
}

/** The packages that hoop may load, also those that are not there yet. */
function modulesAround(directory: string): readonly string[] {
  const [before, ...rest] = directory.split('/node_modules/');
  return rest.length === 0 ? [] : [`${before}/node_modules`];
}

/** Code of hoop's own, compiled (bin/start.js): it runs whatever is there. */
function codeCache(env: NodeJS.ProcessEnv): string {
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'hoop');
}

/** Of the person, also when this is a run inside a run; and where they are without HOOP_HOME. */
function homesOfHoop(env: NodeJS.ProcessEnv): readonly [Home, Home] {
  const { HOOP_RUN_DIR: _run, ...outside } = env;
  const { HOOP_HOME: _home, ...usual } = outside;
  return [locateHome(outside), locateHome(usual)];
}

/** @throws HoopError HOOP_FENCE */
export function findBubblewrap(path = ''): string {
  const found = [...path.split(delimiter), '/usr/bin', '/bin']
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, 'bwrap'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        // Not here.
        return false;
      }
    });
  if (found === undefined) {
    throw noBubblewrap();
  }
  return found;
}
