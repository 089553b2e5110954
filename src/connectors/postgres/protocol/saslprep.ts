/**
 * A password as SCRAM hashes it: SASLprep (https://www.rfc-editor.org/rfc/rfc4013), and where that
 * refuses, the password as it is. PostgreSQL does the same (src/common/saslprep.c), so that
 * passwords in other encodings go on working.
 */
export function preparePassword(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) {
    return password;
  }
  const prepared = password
    .replace(MAPPED_TO_SPACE, ' ')
    .replace(MAPPED_TO_NOTHING, '')
    .normalize('NFKC');
  const refused = prepared === '' || PROHIBITED.test(prepared) || mixesDirections(prepared);
  return refused ? password : prepared;
}

/** RFC 3454 table C.1.2. */
const MAPPED_TO_SPACE = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;

/** RFC 3454 table B.1; U+200B is in C.1.2 as well, which is applied first. */
const MAPPED_TO_NOTHING =
  /\u00ad|\u034f|\u1806|\u180b|\u180c|\u180d|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;

/** RFC 4013 §2.3: controls, private use, non-characters, surrogates, tagging and the like. */
const PROHIBITED =
  /[\p{Cc}\p{Co}\p{Cs}\u06dd\u070f\u180e\u200e\u200f\u2028\u2029\u202a-\u202e\u2061-\u2063\u206a-\u206f\ufdd0-\ufdef\ufff9-\ufffd\u2ff0-\u2ffb\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]|[\ufffe\uffff]/u;

/** RFC 3454 §6: right-to-left text must not hold left-to-right letters and must end as it begins. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
const LEFT_TO_RIGHT = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}]/u;

function mixesDirections(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) {
    return false;
  }
  const characters = [...text];
  return (
    LEFT_TO_RIGHT.test(text) ||
    !RIGHT_TO_LEFT.test(characters[0] ?? '') ||
    !RIGHT_TO_LEFT.test(characters.at(-1) ?? '')
  );
}
