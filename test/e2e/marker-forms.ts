/** A marker as a client would read it, and in the forms in which it could lie about. */
export function formsOf(marker: string): readonly Buffer[] {
  const bytes = Buffer.from(marker);
  // Base64 of what begins anywhere: without the characters that depend on what is around it.
  const base64 = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  return [bytes, Buffer.from(bytes.toString('hex')), ...base64.map((text) => Buffer.from(text))];
}
