/** What is left of runs whose hoop was killed: their logins end, their recordings are taken over. */
import { FileTokenStore } from '../auth/file-token-store.ts';
import type { OpenGateway } from '../auth/open-gateway.ts';
import type { TokenRecord } from '../auth/token-record.ts';
import { abandonedRunStates, adoptRunState } from '../client/run-states.ts';
import { HoopError } from '../errors.ts';
import { endRunLogin } from './run-login.ts';

/** Never fails: it is not what the user came for. Before `uploadPending`, which sends what is found. */
export async function adoptAbandonedRuns({
  open,
  note,
}: {
  readonly open: OpenGateway;
  readonly note: (text: string) => void;
}): Promise<void> {
  try {
    for (const directory of await abandonedRunStates(open.home)) {
      const record = await tokensIn(directory, open.gateway, note);
      // The tokens go first: without an answer of the gateway they must not stay either.
      await adoptRunState(open.home, directory);
      if (record !== undefined) {
        await endRunLogin(open.client, record);
      }
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown reason';
    note(`the leftovers of an earlier run could not be taken over: ${reason}`);
  }
}

/** Programs of the run could write there; what is damaged does not keep the recordings here. */
async function tokensIn(
  directory: string,
  gateway: string,
  note: (text: string) => void,
): Promise<TokenRecord | undefined> {
  try {
    return await new FileTokenStore(directory).read(gateway);
  } catch (error) {
    if (!(error instanceof HoopError)) {
      throw error;
    }
    note(`the login of an earlier run could not be ended: ${error.message}`);
    return undefined;
  }
}
