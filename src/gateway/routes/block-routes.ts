/** The HTTP API of blocks: api/blocks.ts. */
import type { Hono } from 'hono';
import { APPROVAL_ID } from '../../api/approvals.ts';
import { BLOCK_PATHS, type BlockReply, BlockRequest, type BlocksReply } from '../../api/blocks.ts';
import { API_VERSION } from '../../api/http.ts';
import type { Blocks } from '../blocks/blocks.ts';
import { endBlockedLogins } from '../blocks/end-blocked-logins.ts';
import { eventParty } from '../events/event-party.ts';
import type { Env, Guards } from '../http/api-context.ts';
import { readJson } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import { meansPrincipal } from '../identity/block.ts';
import type { Authenticated, Identity, KnownLogin } from '../identity/identity.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { isStoreFault } from '../store/store-watch.ts';

export interface BlockRoutesOptions {
  readonly blocks: Blocks;
  readonly identity: Pick<Identity, 'requireLive' | 'principals' | 'revoke'>;
  readonly sessions: Pick<Sessions, 'endBlocked' | 'principals'>;
  readonly onBlocked: () => void;
}

const MAX_BODY_BYTES = 16 * 1024;

export function addBlockRoutes(
  app: Hono<Env>,
  { authenticated }: Guards,
  options: BlockRoutesOptions,
): void {
  const { blocks, identity, sessions } = options;
  app.get(
    BLOCK_PATHS.blocks,
    authenticated(async (_c, { principal }) =>
      json({ v: API_VERSION, blocks: [...(await blocks.list(principal))] } satisfies BlocksReply),
    ),
  );
  /**
   * Before there is a block: afterwards nobody whom it means is logged in. An approver who has just
   * been let in is enough where the store cannot say more: who must be kept out cannot wait for it.
   */
  const knownLogins = async (who: Authenticated): Promise<readonly KnownLogin[]> => {
    try {
      await identity.requireLive(who);
      return await identity.principals();
    } catch (error) {
      if (isStoreFault(error)) return [];
      throw error;
    }
  };
  app.post(
    BLOCK_PATHS.blocks,
    authenticated(async (c, who) => {
      const asked = await readJson(c.req.raw, BlockRequest, MAX_BODY_BYTES);
      const known = await knownLogins(who);
      const block = await blocks.add(who.principal, asked, [
        ...known.map(({ principal }) => principal),
        ...sessions.principals(),
      ]);
      // Sessions first: that their login has ended as well would be their reason otherwise.
      const ended = sessions.endBlocked(block);
      options.onBlocked();
      const isKept = await blocks.keep(block);
      // Without them it keeps nobody in: each use of a login asks for blocks.
      const logins = block.target === undefined && isKept ? known : [];
      const meant = logins.filter(({ principal }) => meansPrincipal(block, principal));
      const count = await endBlockedLogins(identity, block, meant, eventParty(who.principal));
      return json(
        {
          v: API_VERSION,
          block: blocks.view(block),
          logins: count,
          sessions: ended,
          ...(isKept ? {} : { isKept }),
        } satisfies BlockReply,
        201,
      );
    }),
  );
  app.delete(
    BLOCK_PATHS.block(':id'),
    authenticated(async (c, who) => {
      const id = c.req.param('id') ?? '';
      await identity.requireLive(who);
      const block = await blocks.lift(who.principal, APPROVAL_ID.test(id) ? id : '');
      return json({
        v: API_VERSION,
        block: blocks.view(block),
        logins: 0,
        sessions: 0,
      } satisfies BlockReply);
    }),
  );
}
