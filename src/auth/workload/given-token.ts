/** Tokens that somebody else has got for us: in a variable, or in a file that is renewed in place. */
import { requireTokenFor } from './token-claims.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

export const givenToken: WorkloadProvider = {
  name: 'token',
  title: 'HOOP_TOKEN',
  isGiven: true,
  async detect({ env }) {
    const token = env['HOOP_TOKEN'];
    return token
      ? {
          state: 'found',
          because: 'HOOP_TOKEN is set',
          scope: token,
          fetchToken: async (audience) => requireTokenFor(givenToken, token, audience),
        }
      : absent('HOOP_TOKEN is not set');
  },
};

/** Kubernetes writes projected tokens into a file and replaces it before they expire. */
export const tokenFile: WorkloadProvider = {
  name: 'token-file',
  title: 'HOOP_IDENTITY_TOKEN_FILE',
  isGiven: true,
  async detect({ env, probes }) {
    const path = env['HOOP_IDENTITY_TOKEN_FILE'];
    if (!path) {
      return absent('HOOP_IDENTITY_TOKEN_FILE is not set');
    }
    if (!(await probes.exists(path))) {
      return {
        state: 'unusable',
        because: `the file "${path}" named by HOOP_IDENTITY_TOKEN_FILE does not exist`,
        hint: 'Mount the token there, or name another file in HOOP_IDENTITY_TOKEN_FILE.',
      };
    }
    return {
      state: 'found',
      because: 'HOOP_IDENTITY_TOKEN_FILE is set',
      // The file's name, since what is in it changes while the workload stays the same.
      scope: path,
      fetchToken: async (audience) => {
        const text = await probes.readToken(path);
        if (text === undefined) {
          throw workloadTokenError(tokenFile, `"${path}" cannot be read`);
        }
        return requireTokenFor(tokenFile, text, audience);
      },
    };
  },
};
