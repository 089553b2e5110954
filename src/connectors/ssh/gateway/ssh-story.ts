/** What one SSH stream leaves in the record besides its bytes and its decisions: channels and files. */

import { OperationRecord } from '../../../gateway/sessions/operation-record.ts';
import type { FileRecord } from '../../../recording/file-record.ts';
import type { RecordingEvent } from '../../../recording/types.ts';
import type { SshAct } from '../policy/types.ts';
import { NOT_CARRIED, type NotCarried } from '../protocol/not-carried.ts';

type ChannelEvent = Extract<RecordingEvent, { type: 'ssh.channel' }>;

export class SshStory extends OperationRecord {
  /** The client has refused it, and says so: both sides have its frame. */
  notCarried(at: number, what: NotCarried): void {
    this.refusedThere(at, what, NOT_CARRIED[what].why);
  }

  channel(event: Omit<ChannelEvent, 'type' | 'stream'>): void {
    this.write({ type: 'ssh.channel', stream: this.stream, ...event });
  }

  file(channel: number, record: FileRecord): void {
    this.write({ type: 'ssh.file', stream: this.stream, channel, ...record });
  }
}

/** What the decision about it calls it. */
export function verbOf(act: SshAct): string {
  return act.kind === 'file' ? `sftp ${act.operation}` : act.kind;
}
