/** What the sftp inspector needs from the SSH engine, and what it tells it; nothing else reaches it. */
import type { HoopError } from '../../../../errors.ts';
import type { FileRecord } from '../../../../recording/formats/file-record.ts';
import type { SshAct, SshVerdict } from '../../policy/types.ts';

export type FileAct = Extract<SshAct, { readonly kind: 'file' }>;

/** One channel whose subsystem is sftp, between the client and the target. */
export interface SftpChannel {
  /** Identification of the target's software, of its hello. */
  readonly targetSoftware: string;
  /** @returns false: nothing more until `targetDrained`. The bytes may be a view of what was fed. */
  toTarget(bytes: Uint8Array): boolean;
  /** @returns false: no more answers of ours until `clientDrained`; the target's come as they are fed. */
  toClient(bytes: Uint8Array): boolean;
  /** For people: why something was refused, whole lines. sftp(1) never shows the text of a status. */
  toStderr(text: Uint8Array): void;
  /** So many bytes of the client have been dealt with: the credit for them may be given back. */
  consumed(bytes: number): void;
  /** What the client has sent before its EOF has been dealt with. */
  clientEnded(): void;
  /**
   * Decides, records the decision, and waits for approvals where the rule wants them.
   * @param at offset in the up stream of the frame whose bytes made it complete
   */
  decide(act: FileAct, at: number): SshVerdict | Promise<SshVerdict>;
  record(file: FileRecord): void;
  /** Bytes that cannot be understood, of either side: the channel cannot go on. Called once. */
  fail(error: HoopError): void;
}
