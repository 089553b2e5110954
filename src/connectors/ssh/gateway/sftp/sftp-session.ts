/** sftp in a session channel: puts the inspector between the two ends, and decides for it. */

import type { HoopError } from '../../../../errors.ts';
import { operation } from '../../../../gateway/audit/stream-audit.ts';
import { plainRefusal } from '../../../../policy/refusal.ts';
import type { Refusal } from '../../../../policy/types.ts';
import type { FileRecord } from '../../../../recording/formats/file-record.ts';
import type { SshVerdict } from '../../policy/types.ts';
import { type ActHold, heldLines } from '../act-hold.ts';
import { describeAct, verbOf } from '../act-words.ts';
import type { ChannelFlow } from '../channel-flow.ts';
import { NOW_HELD, type RefusalWords, stderrLines } from '../refusal-text.ts';
import type { ChannelContext } from '../stream-channel.ts';
import { SftpInspector } from './sftp-inspector.ts';
import type { FileAct, SftpChannel } from './sftp-types.ts';

export interface SftpSessionOptions {
  readonly context: ChannelContext;
  readonly flow: ChannelFlow;
  /** The channel cannot go on. */
  readonly fail: (error: HoopError) => void;
}

export class SftpSession {
  readonly inspector: SftpInspector;
  readonly #options: SftpSessionOptions;
  readonly #holds = new Set<ActHold>();
  /** What people have approved; as much as they have patience for. */
  readonly #approved = new Set<string>();

  constructor(options: SftpSessionOptions) {
    const { context, flow } = options;
    this.#options = options;
    const channel: SftpChannel = {
      targetSoftware: context.software,
      toTarget: (bytes) => {
        flow.toTarget(bytes);
        return flow.isUpEmpty;
      },
      toClient: (bytes) => {
        flow.send({ type: 'data', channel: context.number, data: bytes });
        return flow.isDownEmpty;
      },
      toStderr: (text) => flow.say('stderr', text),
      consumed: (bytes) => flow.consumed(bytes),
      clientEnded: () => flow.endUp(),
      decide: (act, at) => this.#decide(act, at),
      record: (file) => this.#file(file),
      fail: options.fail,
    };
    this.inspector = new SftpInspector(channel);
  }

  /** Why a file that is open would not be opened now. */
  reconsider(): RefusalWords | undefined {
    const { decide } = this.#options.context;
    for (const act of this.inspector.openFiles) {
      const verdict = decide(act);
      if (verdict.effect === 'refuse') {
        return verdict.refusal;
      }
      if (verdict.approvals !== undefined && !this.#approved.has(keyOf(act))) {
        return NOW_HELD;
      }
    }
    return undefined;
  }

  /** @param why a phrase; nothing that waits for approval is done any more */
  end(why: string): void {
    for (const hold of this.#holds) {
      hold.withdraw(why);
    }
    this.inspector.ended();
  }

  #file(file: FileRecord): void {
    const { audit, number } = this.#options.context;
    audit.tell({ type: 'ssh.file', stream: audit.stream, channel: number, ...file });
  }

  #decide(act: FileAct, at: number): SshVerdict | Promise<SshVerdict> {
    const { decide, audit } = this.#options.context;
    const verdict = decide(act);
    if (verdict.effect === 'refuse') {
      audit.refused(at, operation(verbOf(act), verdict), verdict.refusal);
    } else if (verdict.approvals !== undefined) {
      return this.#ask(act, at);
    } else {
      audit.allowed(at, operation(verbOf(act), verdict));
      audit.write();
    }
    return verdict;
  }

  async #ask(act: FileAct, at: number): Promise<SshVerdict> {
    const { context, flow } = this.#options;
    const { audit } = context;
    const hold = context.hold(act, at);
    this.#holds.add(hold);
    try {
      const outcome = await hold.pass((text) =>
        flow.say('stderr', stderrLines(heldLines(text), false)),
      );
      if (outcome.type === 'released') {
        this.#approved.add(keyOf(act));
        audit.allowed(at, operation(verbOf(act), outcome.verdict));
        audit.write();
        return outcome.verdict;
      }
      const { refusal, touches } =
        outcome.type === 'refused' ? outcome : { refusal: withdrawn(act), touches: [act.path] };
      audit.refused(at, operation(verbOf(act), { refusal, touches }), refusal);
      return { effect: 'refuse', refusal, touches };
    } finally {
      this.#holds.delete(hold);
    }
  }
}

function keyOf({ operation, path }: FileAct): string {
  return `${operation} ${path}`;
}

function withdrawn(act: FileAct): Refusal {
  return plainRefusal({
    code: 'HOOP_APPROVAL_VOID',
    message: `${describeAct(act)} did not happen: the request for approval was withdrawn`,
  });
}
