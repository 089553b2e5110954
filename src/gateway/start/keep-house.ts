import type { Approvals } from '../approvals/approvals.ts';
import type { DiskRoom } from '../base/disk-room.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { Blocks } from '../blocks/blocks.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import type { CertificateWatch } from '../http/server-certificate.ts';
import type { Block } from '../identity/block.ts';
import type { IdentityStore } from '../identity/identity-store.ts';
import type { SessionIndex } from '../index/session-index.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { StoreWatch } from '../store/store-watch.ts';

export interface HouseOptions {
  /** Signs what no client has signed in time. */
  readonly signOverdue: () => void;
  readonly index: SessionIndex;
  readonly events: Pick<AuditEvents, 'prune'>;
  readonly approvals: Approvals;
  readonly identityStore: IdentityStore;
  readonly sessions: Sessions;
  readonly room: DiskRoom;
  readonly blocks: Pick<Blocks, 'keepAll'>;
  /** What a block ends that the store has taken only now. */
  readonly endBlocked: (block: Block) => Promise<void>;
  readonly store: {
    readonly watch: Pick<StoreWatch, 'look' | 'awayMs'>;
    readonly endSessionsAfterSeconds: number;
  };
  readonly certificate: Pick<CertificateWatch, 'look'>;
  readonly log: Log;
  readonly clock: () => number;
}

const HOUSEKEEPING_EVERY_MS = 60_000;
const SECOND_MS = 1000;

/** What is done from time to time while the gateway runs, until it is disposed of. */
export function keepHouse(options: HouseOptions): Disposable {
  const { signOverdue, index, events, approvals, identityStore, sessions, room, blocks } = options;
  const { log, clock } = options;
  const housekeeping = setInterval(() => {
    signOverdue();
    options.certificate.look(clock());
    void index.tryFlush();
    void approvals.prune();
    void events.prune();
    identityStore
      .prune(clock())
      .catch((error: unknown) => log.error('housekeeping.failed', errorFields(error)));
  }, HOUSEKEEPING_EVERY_MS);

  const eachSecond = setInterval(() => {
    const { watch, endSessionsAfterSeconds } = options.store;
    void watch.look();
    sessions.checkLogins();
    void blocks.keepAll(options.endBlocked);
    if (sessions.size > 0 && watch.awayMs >= endSessionsAfterSeconds * SECOND_MS) {
      sessions.endForWantOfStore(endSessionsAfterSeconds);
    }
    if (sessions.size > 0 && room.isNearlyFull) {
      log.error('disk.nearly_full', { sessions: sessions.size });
      sessions.endForWantOfRoom();
    }
  }, SECOND_MS);
  return {
    [Symbol.dispose]() {
      clearInterval(housekeeping);
      clearInterval(eachSecond);
    },
  };
}
