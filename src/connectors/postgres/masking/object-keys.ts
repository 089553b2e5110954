/** Finds the members of one object mask by the keys as they come, and tells when one is missing. */
import type { DocumentMask } from '../policy/facts/types.ts';

type ObjectMask = Extract<DocumentMask, { readonly type: 'object' }>;
type Member = ObjectMask['members'][number];

const BACKSLASH = 0x5c;

export class ObjectKeys {
  readonly #members: ReadonlyMap<string, Member>;
  readonly #required: readonly Member[];
  readonly #decode: (bytes: Uint8Array) => string | undefined;
  /** By their bytes, so that each of them is decoded once and not in every object. */
  readonly #known = new Map<string, Member>();
  /** The number of the object in which a member was last seen. */
  readonly #seen = new Map<Member, number>();
  #object = 0;

  constructor(mask: ObjectMask, decode: (bytes: Uint8Array) => string | undefined) {
    this.#members = new Map(mask.members.map((member) => [member.key, member]));
    this.#required = mask.members.filter(({ optional }) => !optional);
    this.#decode = decode;
  }

  /** One more object begins, inside of which there is none with the same mask. */
  begin(): void {
    this.#object += 1;
  }

  /** @param token the key with its quotes @returns undefined: there is no such member. */
  find(token: Uint8Array): Member | undefined {
    const bytes = Buffer.from(token.buffer, token.byteOffset, token.length).toString('latin1');
    let member = this.#known.get(bytes);
    if (member === undefined) {
      const key = this.#text(token);
      member = key === undefined ? undefined : this.#members.get(key);
      if (member === undefined) return undefined;
      this.#known.set(bytes, member);
    }
    this.#seen.set(member, this.#object);
    return member;
  }

  /** Whether the object had every member that it must have. */
  isComplete(): boolean {
    return this.#required.every((member) => this.#seen.get(member) === this.#object);
  }

  #text(token: Uint8Array): string | undefined {
    if (!token.includes(BACKSLASH)) return this.#decode(token.subarray(1, -1));
    const text = this.#decode(token);
    if (text === undefined) return undefined;
    try {
      const key: unknown = JSON.parse(text);
      return typeof key === 'string' ? key : undefined;
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}
