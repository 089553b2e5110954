import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as z from 'zod';
import { readTrust } from '../auth/trust.ts';
import { HoopError } from '../errors.ts';
import { locateHome } from '../home.ts';
import { fromBase64 } from '../recording/encoding.ts';
import type { VerifyTrust } from '../recording/verify.ts';
import type { Io } from './io.ts';

/** trust.json of a HOOP_HOME, as far as checking a recording needs it. */
const TrustFile = z.object({
  v: z.literal(1),
  gateways: z.record(
    z.string(),
    z.object({
      gateway: z.string(),
      rootKey: z.string(),
      keyringVersion: z.number().int().nonnegative(),
    }),
  ),
});

/**
 * The keys that this machine has pinned, or those of a file. Never from the recording itself.
 * @throws HoopError HOOP_USAGE when the file is none of ours
 */
export function trustedRoots(
  io: Pick<Io, 'env' | 'cwd'>,
  file: string | undefined,
): VerifyTrust['roots'] {
  const pins =
    file === undefined
      ? [...readTrust(locateHome(io.env)).values()]
      : Object.values(readTrustFile(resolve(io.cwd, file)).gateways);
  return pins.map(({ gateway, rootKey, keyringVersion }) => ({
    gateway,
    rootKey: fromBase64(rootKey, 'root key', 32),
    keyringVersion,
  }));
}

function readTrustFile(path: string): z.infer<typeof TrustFile> {
  try {
    return TrustFile.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new HoopError('HOOP_USAGE', `"${path}" holds no trusted keys`, {
      detail: cause instanceof Error && 'code' in cause ? `${cause.message}.` : undefined,
      hint: 'Give a copy of trust.json from the HOOP_HOME of someone who has logged in.',
      cause,
    });
  }
}
