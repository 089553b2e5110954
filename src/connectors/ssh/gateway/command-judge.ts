/**
 * Where commands are held against the rules. To find out what a text starts can cost milliseconds
 * for each hundred of its characters, and everybody else would wait meanwhile: what is longer than
 * most commands are is read in a thread, within limits of time and memory, one after the other, and
 * of those that wait the one whose owner has waited longest.
 */
import { LimitedThread } from '../../../limited-thread.ts';
import type { Grant } from '../../../policy/types.ts';
import { decideSsh } from '../policy/decide-ssh.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import type { CommandTask } from './command-worker.ts';

/** Characters that are read at once, where it is asked. */
const SHORT_COMMAND = 512;
/** Of the processor, for one command; those of people and their tools take a hundredth of it. */
const LIMIT_MS = 5_000;
const HEAP_MB = 256;
/** The parser recurses; a command within a command within … is refused long before this is full. */
const STACK_MB = 16;
/** Commands of one session that wait; those of others have their own places. */
const MAX_WAITING = 200;

const TOO_LONG = 'it takes too long to read';
const NO_THREAD = 'the gateway cannot start a thread to read it: run it again in a moment';

export class CommandJudge implements AsyncDisposable {
  readonly #thread: LimitedThread<Grant, CommandTask, SshVerdict>;

  /** @param limitMs for tests */
  constructor(limitMs = LIMIT_MS) {
    // In a checkout this file is TypeScript, which Node runs as it is; in dist/ both are compiled.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#thread = new LimitedThread({
      file: new URL(`./command-worker.${extension}`, import.meta.url),
      name: 'hoop-commands',
      limitMs,
      heapMb: HEAP_MB,
      stackMb: STACK_MB,
      maxWaiting: MAX_WAITING,
    });
  }

  /** Commands that were read in a thread so far. */
  get readElsewhere(): number {
    return this.#thread.taken;
  }

  /**
   * What it cannot read in time is a command that nobody can read, and goes by the rules for those.
   * @param owner whose turn it is
   */
  decide(owner: object, grant: Grant, user: string, act: SshAct): SshVerdict | Promise<SshVerdict> {
    if (act.kind !== 'exec' || act.command === undefined || act.command.length <= SHORT_COMMAND) {
      return decideSsh(grant, user, act);
    }
    const { command } = act;
    const unread = (): SshVerdict => {
      const why = this.#thread.cannotStart ? NO_THREAD : TOO_LONG;
      return decideSsh(grant, user, { kind: 'exec', command, unread: why });
    };
    if (this.#thread.isFull(owner)) return unread();
    return this.#thread
      .run(owner, { shared: grant, task: { user, command } })
      .then((verdict) => verdict ?? unread());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }
}
