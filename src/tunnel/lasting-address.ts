/**
 * The address of a target that stays the same across restarts of `hoop connect --forever`: port,
 * user and password, in a 0600 file below the state directory. It opens nothing but the local port
 * of this user, and only while hoop serves it.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../errors.ts';
import { readPrivateFile, writePrivateFile } from '../recording/keys/private-file.ts';
import { Secret } from '../secret.ts';
import { LocalListener } from './local-listener.ts';
import type { LocalSide } from './local-side.ts';

const SECRET_BYTES = 24;
/** Systems take the ports of outgoing connections from above, so none of these is in use by chance. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;
const ATTEMPTS = 5;

const Kept = z.object({
  v: z.literal(1),
  gateway: z.string(),
  target: z.looseObject({ name: z.string(), kind: z.string() }),
  port: z.int().min(1).max(65_535),
  secret: z.string().min(32),
});

export interface LastingAddress {
  /** Base URL. */
  readonly gateway: string;
  /** As the gateway described it when the address was made. */
  readonly target: {
    readonly name: string;
    readonly kind: string;
    readonly [fact: string]: unknown;
  };
  readonly port: number;
  readonly secret: Secret<string>;
}

interface Place {
  readonly state: string;
}

/** @throws HoopError HOOP_LOCAL_STATE (damaged), HOOP_CONFIG (others may read it) */
export function readLastingAddress(
  home: Place,
  gateway: string,
  target: string,
): LastingAddress | undefined {
  const path = fileOf(home, gateway, target);
  const bytes = readPrivateFile(path);
  if (bytes === undefined) {
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    // Not JSON: damaged, as below.
  }
  const kept = Kept.safeParse(value).data;
  if (kept === undefined || kept.gateway !== gateway || kept.target.name !== target) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${path}" is damaged`, {
      hint: `Remove it: \`hoop connect ${target} --forever\` makes a new address, with another password.`,
    });
  }
  return { ...kept, secret: new Secret(kept.secret) };
}

export function writeLastingAddress(home: Place, address: LastingAddress): void {
  const { gateway, target, port, secret } = address;
  const kept = { v: 1, gateway, target, port, secret: secret.expose() };
  writePrivateFile(fileOf(home, gateway, target.name), `${JSON.stringify(kept, null, 2)}\n`);
}

export function newLastingSecret(): Secret<string> {
  return new Secret(randomBytes(SECRET_BYTES).toString('base64url'));
}

/**
 * Takes the port, and empties the directory for the files of libpq, whose paths last as well.
 * @param port undefined: any that is free now
 * @throws HoopError HOOP_LOCAL_PORT
 */
export async function openLastingSide(
  home: Place,
  { gateway, target, port }: { gateway: string; target: string; port: number | undefined },
): Promise<LocalSide> {
  const listener = await listenOn(port);
  const runtime = join(placeOf(home, gateway, target), 'files');
  rmSync(runtime, { recursive: true, force: true });
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  return { listener, runtime, isLasting: true };
}

async function listenOn(port: number | undefined): Promise<LocalListener> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const wanted = port ?? FIRST_PORT + randomInt(PORTS);
      return await LocalListener.open({ type: 'tcp', port: wanted });
    } catch (error) {
      if (port !== undefined || attempt === ATTEMPTS) {
        throw error;
      }
    }
  }
}

function fileOf(home: Place, gateway: string, target: string): string {
  return join(placeOf(home, gateway, target), 'address.json');
}

function placeOf({ state }: Place, gateway: string, target: string): string {
  const id = createHash('sha256').update(`${gateway}\n${target}`).digest('hex').slice(0, 16);
  return join(state, 'addresses', id);
}
