/**
 * A map that never changes: a change makes a new one, which shares with the old one all that is the
 * same. Keeping an old one alive costs what was changed since, and a change costs a small part of
 * the whole.
 */

/** A change copies this many references and one part in so many of the entries. */
const BUCKETS = 256;

export class BucketMap<K extends number | string, V> {
  readonly #buckets: readonly (ReadonlyMap<K, V> | undefined)[];
  readonly size: number;

  private constructor(buckets: readonly (ReadonlyMap<K, V> | undefined)[], size: number) {
    this.#buckets = buckets;
    this.size = size;
  }

  static empty<K extends number | string, V>(): BucketMap<K, V> {
    return new BucketMap<K, V>(new Array<undefined>(BUCKETS).fill(undefined), 0);
  }

  get(key: K): V | undefined {
    return this.#buckets[bucketOf(key)]?.get(key);
  }

  has(key: K): boolean {
    return this.#buckets[bucketOf(key)]?.has(key) ?? false;
  }

  /** @param changes undefined: without this key. */
  with(changes: Iterable<readonly [K, V | undefined]>): BucketMap<K, V> {
    const buckets = [...this.#buckets];
    const own = new Map<number, Map<K, V>>();
    let { size } = this;
    for (const [key, value] of changes) {
      const index = bucketOf(key);
      const bucket = own.get(index) ?? new Map(buckets[index]);
      own.set(index, bucket);
      size -= bucket.size;
      if (value === undefined) bucket.delete(key);
      else bucket.set(key, value);
      size += bucket.size;
      buckets[index] = bucket;
    }
    return own.size === 0 ? this : new BucketMap(buckets, size);
  }

  keysOutside(keys: ReadonlySet<K>): K[] {
    const outside: K[] = [];
    for (const bucket of this.#buckets) {
      if (bucket === undefined) continue;
      for (const key of bucket.keys()) if (!keys.has(key)) outside.push(key);
    }
    return outside;
  }

  *keys(): Generator<K> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.keys();
  }

  *entries(): Generator<readonly [K, V]> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.entries();
  }
}

function bucketOf(key: number | string): number {
  if (typeof key === 'number') return key % BUCKETS;
  let hash = 0;
  for (let index = 0; index < key.length; index += 1) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(index)) | 0;
  }
  return (hash >>> 0) % BUCKETS;
}
