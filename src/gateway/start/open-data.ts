/** The first stage: what lies in the data directory, and the secrets that the configuration names. */
import { readFile } from 'node:fs/promises';
import { HoopError } from '../../errors.ts';
import { openRecordingStore } from '../../recording/recording-store.ts';
import type { GatewayConfig } from '../base/config.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { GatewaySource } from '../connector.ts';
import { doesActs } from '../connectors.ts';
import { CurrentKeys } from '../identity/current-keys.ts';
import { IndexStore } from '../index/index-store.ts';
import { SessionIndex } from '../index/session-index.ts';
import { EndedRecordings } from '../sessions/ended-recordings.ts';
import { ConfigCredentialStore } from '../targets/credential-store.ts';
import { openDataDirectory } from './data-directory.ts';
import { openGatewaySecrets } from './gateway-secrets.ts';

/** What every stage is given. */
export interface Opening {
  readonly config: GatewayConfig;
  readonly env: NodeJS.ProcessEnv;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
  /** Closes what was opened in reverse order, also when a later step fails. */
  readonly opened: AsyncDisposableStack;
}

/** What a crash left is recovered. @throws HOOP_CONFIG */
export async function openData(
  { config, env, clock, log, opened }: Opening,
  sources: readonly GatewaySource[],
) {
  const directory = await openDataDirectory(config);
  // First, because it holds the lock on the directory.
  const database = opened.use(IndexStore.open(directory.index));
  const credentials = new ConfigCredentialStore({ credentials: config.credentials, env, log });
  await credentials.check();
  const allowedSigners = await readAllowedSigners(config.policy.allowedSignersFile);
  const keys = new CurrentKeys({ directory: directory.keys, gateway: config.name, clock, log });
  const secrets = openGatewaySecrets(directory.keys, {
    gatewayKey: keys.get().gatewayKey.privateKey,
    isNew: directory.isNew,
  });
  const index = new SessionIndex(
    database.store,
    clock,
    (error) => log.error('index.write_failed', errorFields(error)),
    doesActs(sources),
  );
  opened.defer(() => index.flush());
  const store = opened.use(await openRecordingStore(directory.path, directory.keys));
  const ended = new EndedRecordings({
    store,
    gatewayKey: () => keys.get().gatewayKey,
    index,
    uploadWithinSeconds: config.recording.uploadWithinSeconds,
    log,
    clock,
  });
  await ended.recover();
  const signOverdue = (): void => {
    ended
      .signOverdue()
      .catch((error: unknown) => log.error('session.sign_failed', errorFields(error)));
  };
  return {
    directory,
    database,
    credentials,
    allowedSigners,
    keys,
    secrets,
    index,
    store,
    ended,
    signOverdue,
  };
}

export type GatewayData = Awaited<ReturnType<typeof openData>>;

async function readAllowedSigners(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read the allowed signers "${path}"`, {
      hint: 'It is an OpenSSH allowed_signers file; see policy.allowedSigners in the configuration.',
      cause,
    });
  }
}
