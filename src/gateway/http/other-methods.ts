import type { Hono } from 'hono';
import { ACCESS_PATHS } from '../../api/access.ts';
import { APPROVAL_PATHS } from '../../api/approvals.ts';
import { BLOCK_PATHS } from '../../api/blocks.ts';
import { PATHS } from '../../api/http.ts';
import { RUN_PATHS } from '../../api/runs.ts';
import { SEARCH_PATH } from '../../api/search.ts';
import type { Env } from './api-context.ts';
import { json } from './http-replies.ts';

const METHODS: readonly (readonly [string, string])[] = [
  [PATHS.health, 'GET'],
  [PATHS.ready, 'GET'],
  [PATHS.info, 'GET'],
  [PATHS.token, 'POST'],
  [PATHS.logout, 'POST'],
  [PATHS.backchannelLogout, 'POST'],
  [PATHS.whoami, 'GET'],
  [PATHS.policy, 'GET'],
  [PATHS.policyBundle, 'GET'],
  [PATHS.runs, 'GET, POST'],
  [RUN_PATHS.run(':id'), 'GET'],
  [RUN_PATHS.end(':id'), 'POST'],
  [PATHS.targets, 'GET'],
  [PATHS.sessions, 'GET, POST'],
  [PATHS.session(':id'), 'GET'],
  [PATHS.end(':id'), 'POST'],
  [SEARCH_PATH, 'POST'],
  [APPROVAL_PATHS.approvals, 'GET'],
  [APPROVAL_PATHS.approval(':id'), 'GET, DELETE'],
  [APPROVAL_PATHS.decision(':id'), 'POST'],
  [ACCESS_PATHS.access, 'GET, POST'],
  [ACCESS_PATHS.grant(':id'), 'DELETE'],
  [BLOCK_PATHS.blocks, 'GET, POST'],
  [BLOCK_PATHS.block(':id'), 'DELETE'],
  [PATHS.cuts(':id'), 'GET, POST'],
  [PATHS.repair(':id'), 'POST'],
  [PATHS.seal(':id'), 'POST'],
  [PATHS.manifest(':id'), 'POST'],
  [PATHS.bundle(':id'), 'GET'],
];

/** Comes last: what reaches these routes had no handler for its method. */
export function refuseOtherMethods(app: Hono<Env>): void {
  for (const [path, allow] of METHODS) {
    app.all(path, () =>
      json(
        {
          error: {
            code: 'HOOP_GATEWAY_REFUSED',
            message: 'the path does not take this method',
            detail: `It takes ${allow}.`,
          },
        },
        405,
        { allow },
      ),
    );
  }
  for (const path of [PATHS.control(':id'), PATHS.streams(':id')]) {
    app.all(path, () =>
      json({ error: { code: 'HOOP_GATEWAY_REFUSED', message: 'the path is a WebSocket' } }, 426, {
        upgrade: 'websocket',
      }),
    );
  }
}
