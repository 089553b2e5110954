import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as z from 'zod';
import { readTrust, rootKeyFingerprint } from '../../auth/trust.ts';
import { HoopError } from '../../errors.ts';
import { locateHome } from '../../home.ts';
import { fromBase64 } from '../../recording/formats/encoding.ts';
import type { VerifyTrust } from '../../recording/verify/verify.ts';
import { renderJson } from '../../ui/render-json.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';

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

/** Writes the root keys that this machine has pinned, for people who verify without a login here. */
export async function exportTrust(io: Io): Promise<void> {
  const pins = readTrust(locateHome(io.env));
  if (pins.size === 0) {
    throw new HoopError('HOOP_NOT_LOGGED_IN', 'this machine has pinned no root key yet', {
      hint: 'The first `hoop login` to a gateway pins its key.',
    });
  }
  const gateways = Object.fromEntries(
    [...pins].map(([url, { gateway, rootKey, keyringVersion }]) => [
      url,
      { gateway, rootKey, keyringVersion },
    ]),
  );
  io.stdout.write(`${renderJson({ v: 1, gateways })}\n`);
  for (const { gateway, rootKey } of pins.values()) {
    io.note(plain(`gateway "${gateway}": root key ${rootKeyFingerprint(rootKey)}`));
  }
}

function readTrustFile(path: string): z.infer<typeof TrustFile> {
  try {
    return TrustFile.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new HoopError('HOOP_USAGE', `"${path}" holds no trusted keys`, {
      detail: cause instanceof Error && 'code' in cause ? `${cause.message}.` : undefined,
      hint: 'Give a file from `hoop sessions trust`, run by a person who has logged in.',
      cause,
    });
  }
}
