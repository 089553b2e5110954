/**
 * How a value is written: 0 text, 1 binary. Others are kept as they are, because the server
 * answers them with an error of its own on a connection that goes on.
 * https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES
 */
export type FormatCode = number;

export const TEXT_FORMAT = 0;
export const BINARY_FORMAT = 1;

/**
 * The format of value `index` under a list as Bind and FunctionCall give it: none = all text, one =
 * all alike, else one each.
 * @returns undefined if the list is longer than one and has no entry for the value.
 */
export function formatOf(formats: readonly FormatCode[], index: number): FormatCode | undefined {
  return formats.length === 0 ? TEXT_FORMAT : formats.length === 1 ? formats[0] : formats[index];
}
