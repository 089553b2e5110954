/**
 * What the client of an sftp channel has sent and nobody has dealt with yet. Packets are taken out of
 * it one by one, in their order; a chunk is credited to the client when all of it has been taken.
 */
import { PacketScanner, type SftpItem } from '../../protocol/sftp/packet-scanner.ts';
import { REQUEST } from '../../protocol/sftp/packet-types.ts';
import { type Chunk, ChunkQueue } from '../chunk-queue.ts';
import type { SftpRun } from './sftp-run.ts';
import type { SftpChannel } from './sftp-types.ts';

export class SftpRequestQueue {
  readonly #channel: Pick<SftpChannel, 'consumed' | 'clientEnded'>;
  readonly #toTarget: SftpRun;
  readonly #scanner = new PacketScanner((type) => (type === REQUEST.write ? 'stream' : 'whole'));
  /** Not yet scanned; bounded by the credit that the engine gives. */
  readonly #chunks = new ChunkQueue();
  #chunk: Chunk | undefined;
  #clientEnd: 'open' | 'ending' | 'ended' = 'open';

  /** @param toTarget has views of the chunk that is under way */
  constructor(channel: Pick<SftpChannel, 'consumed' | 'clientEnded'>, toTarget: SftpRun) {
    this.#channel = channel;
    this.#toTarget = toTarget;
  }

  /** Offset in the up stream of the chunk that is under way. */
  get at(): number {
    return this.#chunk?.at ?? 0;
  }

  /** @param isTaken it is taken out at once, if nothing is in front of it: otherwise it is copied */
  push(bytes: Uint8Array, at: number, isTaken: boolean): void {
    const goesOn = isTaken && this.#chunk === undefined && this.#chunks.isEmpty;
    this.#chunks.push(goesOn ? bytes : Uint8Array.from(bytes), at);
  }

  /** The client says nothing more; the target hears it behind what is here. */
  end(): void {
    if (this.#clientEnd === 'open') {
      this.#clientEnd = 'ending';
    }
  }

  /** @throws ProtocolError, MalformedPacket */
  next(): SftpItem | undefined {
    for (;;) {
      const item = this.#chunk === undefined ? undefined : this.#scanner.next();
      if (item !== undefined) {
        return item;
      }
      if (this.#chunk !== undefined) {
        this.#toTarget.flush();
        const { length } = this.#chunk.bytes;
        this.#chunk = undefined;
        this.#channel.consumed(length);
      }
      this.#chunk = this.#chunks.shift();
      if (this.#chunk === undefined) {
        if (this.#clientEnd === 'ending') {
          this.#clientEnd = 'ended';
          this.#channel.clientEnded();
        }
        return undefined;
      }
      this.#scanner.feed(this.#chunk.bytes);
    }
  }

  /** Nothing of what waits is dealt with any more. */
  clear(): void {
    this.#chunks.clear();
  }
}
