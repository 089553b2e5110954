/**
 * What oidc-provider must remember, in memory. Its own in-memory adapter prints a warning about
 * production use at each start; a demo that ends with its process is the use it is meant for.
 */
interface Stored {
  readonly payload: Record<string, unknown>;
  readonly expiresAtMs: number;
}

/** Entries in all; the oldest go first. Somebody who floods the demo only spoils logins under way. */
const MAX_ENTRIES = 2000;

export function createOidcStorage(): (model: string) => object {
  const entries = new Map<string, Stored>();
  const read = (key: string): Record<string, unknown> | undefined => {
    const stored = entries.get(key);
    if (stored !== undefined && stored.expiresAtMs <= Date.now()) {
      entries.delete(key);
      return undefined;
    }
    return stored?.payload;
  };
  const find = (model: string, field: string, value: string) => {
    for (const key of entries.keys()) {
      const payload = key.startsWith(`${model}:`) ? read(key) : undefined;
      if (payload?.[field] === value) {
        return payload;
      }
    }
    return undefined;
  };
  return (model) => ({
    async upsert(id: string, payload: Record<string, unknown>, expiresInSeconds: number) {
      entries.set(`${model}:${id}`, {
        payload,
        expiresAtMs: Date.now() + expiresInSeconds * 1000,
      });
      const oldest = entries.keys().next().value;
      if (entries.size > MAX_ENTRIES && oldest !== undefined) {
        entries.delete(oldest);
      }
    },
    async find(id: string) {
      return read(`${model}:${id}`);
    },
    async findByUid(uid: string) {
      return find(model, 'uid', uid);
    },
    async findByUserCode(userCode: string) {
      return find(model, 'userCode', userCode);
    },
    async consume(id: string) {
      const payload = read(`${model}:${id}`);
      if (payload !== undefined) {
        payload['consumed'] = Math.floor(Date.now() / 1000);
      }
    },
    async destroy(id: string) {
      entries.delete(`${model}:${id}`);
    },
    async revokeByGrantId(grantId: string) {
      for (const [key, { payload }] of entries) {
        if (payload['grantId'] === grantId) {
          entries.delete(key);
        }
      }
    },
  });
}
