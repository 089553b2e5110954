/** Finds a text in another: white space runs together, case does not count. */

export interface Excerpt {
  readonly before: string;
  readonly match: string;
  readonly after: string;
}

/** Characters kept on either side of what was found. */
const CONTEXT = 60;

export function normalText(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/**
 * @param wanted of `normalText`, not empty
 * @returns the first place, with what stands around it
 */
export function matchText(text: string, wanted: string): Excerpt | undefined {
  const flat = normalText(text);
  // Folding must not move what follows: `İ` becomes two characters in lower case.
  const folded = fold(flat);
  const at = folded.indexOf(fold(wanted));
  if (at < 0) {
    return undefined;
  }
  const end = at + wanted.length;
  const from = at > CONTEXT ? wholeFrom(flat, at - CONTEXT) : 0;
  const to = flat.length - end > CONTEXT ? wholeFrom(flat, end + CONTEXT) : flat.length;
  return {
    before: `${from > 0 ? '…' : ''}${flat.slice(from, at)}`,
    match: flat.slice(at, end),
    after: `${flat.slice(end, to)}${to < flat.length ? '…' : ''}`,
  };
}

function fold(text: string): string {
  const lower = text.toLowerCase();
  return lower.length === text.length
    ? lower
    : text.replace(/./gsu, (character) => {
        const one = character.toLowerCase();
        return one.length === character.length ? one : character;
      });
}

/** Not between the halves of a character beyond the BMP. */
function wholeFrom(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
}
