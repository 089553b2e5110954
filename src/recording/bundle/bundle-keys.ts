/** The `keys` member: without it the contents can be read but neither leaves nor events be checked. */
import * as z from 'zod';
import { canonicalJson, parseCanonicalJson } from '../formats/canonical-json.ts';
import { fromBase64, toBase64, utf8 } from '../formats/encoding.ts';
import { eventKeyOf } from '../formats/frame-digest.ts';
import { parseShape } from '../formats/parse-shape.ts';
import type { RecordingKeys } from '../keys/recording-keys.ts';

const Shape = z.strictObject({
  v: z.literal(2),
  /** null in a bundle that withholds events: whoever has it can guess them. */
  event_key: z.nullable(z.string()),
  salt_key: z.string(),
});

/** What a verifier needs: salts. What encrypts the gateway's files is not in it. */
export interface BundleKeys {
  readonly eventKey: Uint8Array | undefined;
  readonly saltKey: Uint8Array;
}

export function encodeBundleKeys({ dataKey, saltKey }: RecordingKeys): Uint8Array {
  const eventKey = toBase64(eventKeyOf(dataKey));
  return utf8(canonicalJson({ v: 2, event_key: eventKey, salt_key: toBase64(saltKey) }));
}

/** @throws FormatError */
export function decodeBundleKeys(bytes: Uint8Array): BundleKeys {
  const shape = parseShape(Shape, parseCanonicalJson(bytes, 'the keys'), 'the keys');
  return {
    eventKey:
      shape.event_key === null ? undefined : fromBase64(shape.event_key, 'the event key', 32),
    saltKey: fromBase64(shape.salt_key, 'the salt key', 32),
  };
}
