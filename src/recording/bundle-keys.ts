/** The `keys` member: without it the contents can be read but neither leaves nor frames be checked. */
import * as z from 'zod';
import { canonicalJson, parseCanonicalJson } from './canonical-json.ts';
import { fromBase64, toBase64, utf8 } from './encoding.ts';
import { parseShape } from './parse-shape.ts';
import type { RecordingKeys } from './recording-keys.ts';

const Shape = z.strictObject({
  v: z.literal(1),
  data_key: z.string(),
  salt_key: z.string(),
});

export function encodeBundleKeys({ dataKey, saltKey }: RecordingKeys): Uint8Array {
  return utf8(canonicalJson({ v: 1, data_key: toBase64(dataKey), salt_key: toBase64(saltKey) }));
}

/** @throws FormatError */
export function decodeBundleKeys(bytes: Uint8Array): RecordingKeys {
  const shape = parseShape(Shape, parseCanonicalJson(bytes, 'the keys'), 'the keys');
  return {
    dataKey: fromBase64(shape.data_key, 'the data key', 32),
    saltKey: fromBase64(shape.salt_key, 'the salt key', 32),
  };
}
