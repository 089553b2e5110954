import type { TokenRecord } from '../auth/token-record.ts';
import { importDpopKey } from '../client/dpop-key.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { HoopError } from '../errors.ts';

/** The login ends by itself when its parent's does; nobody waits long to end it earlier. */
const LOGOUT_WITHIN_MS = 5_000;

/** Ends the login of a run at the gateway, if the gateway can be told. */
export async function endRunLogin(client: GatewayClient, record: TokenRecord): Promise<void> {
  const signal = AbortSignal.timeout(LOGOUT_WITHIN_MS);
  try {
    await client.logout(record.refreshToken, importDpopKey(record.key), signal);
  } catch (error) {
    // It has ended already, or the gateway cannot be told: it ends it with the outer login.
    if (!(error instanceof HoopError) && !signal.aborted) {
      throw error;
    }
  }
}
