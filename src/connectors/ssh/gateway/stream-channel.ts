/** One channel of a stream, whatever it carries, as the frames of the client reach it. */

import type { StreamAudit } from '../../../gateway/audit/stream-audit.ts';
import type { Grant } from '../../../policy/types.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import type { ChannelRequest, DownFrame } from '../protocol/frame.ts';
import type { ActHold } from './act-hold.ts';
import type { NameResolver } from './name-resolver.ts';
import type { ServerAddresses } from './server-addresses.ts';
import type { TargetChannels } from './target-channels.ts';

export interface StreamChannel {
  /** It is open: frames other than `opened` make sense. */
  readonly isOpen: boolean;
  /** Both ends have closed it. */
  readonly isOver: boolean;
  /** A command runs in it. */
  readonly isBusy: boolean;
  /** @throws ProtocolError */
  request(request: ChannelRequest, wantReply: boolean, at: number): void;
  /** @throws ProtocolError for more than there is credit for, or after the end */
  data(bytes: Uint8Array, at: number): void;
  /** @throws ProtocolError */
  window(bytes: number): void;
  eof(): void;
  close(): void;
  /** The connection to the target takes more. */
  flush(): void;
  /** The grant is another one: what it does not allow any more ends here. */
  reconsider(): void;
  /** The session ends: says why where somebody can read it. Nothing is called after it. */
  end(message: string): void;
  /** Leaves what the record must know of it; nobody is told anything. */
  finish(): void;
}

/** What a channel needs of its stream. */
export interface ChannelContext {
  readonly number: number;
  /** Offset in the up stream of the frame that opened it. */
  readonly at: number;
  readonly window: number;
  readonly targets: TargetChannels;
  readonly audit: StreamAudit;
  /** Who is logged in on the target. */
  readonly user: string;
  /** Of the target itself. */
  readonly server: ServerAddresses;
  /** Identification of the target's software. */
  readonly software: string;
  readonly write: (frame: DownFrame) => void;
  readonly grant: () => Grant;
  /** By the grant of now. */
  readonly decide: (act: SshAct) => SshVerdict;
  /** The same of what may take long, as a command may: by the grant when it is known. */
  readonly judge: (act: SshAct) => SshVerdict | Promise<SshVerdict>;
  readonly hold: (act: SshAct, at: number) => ActHold;
  /** Something that waited has failed: the stream ends. */
  readonly fail: (error: unknown) => void;
  /** It may be over now. */
  readonly onOver: () => void;
  readonly resolver: NameResolver;
  /** The stream is over. */
  readonly signal: AbortSignal;
}
