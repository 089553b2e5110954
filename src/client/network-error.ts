/** Says in words why a connection to the gateway failed, and what to do about it. */

import { errorCode } from '../error-code.ts';
import { HoopError } from '../errors.ts';

const REACH: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name cannot be resolved now',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  EADDRNOTAVAIL: 'the address is not available here',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'it stopped in the middle of a reply',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_CLOSED: 'the connection was closed',
  UND_ERR_DESTROYED: 'the connection was closed',
};

const PRIVATE_CA =
  'If the gateway uses a private CA, name the CA’s certificate: `hoop login --gateway URL --ca FILE`.';

interface TlsReason {
  readonly why: string;
  readonly hint: string;
  /** Whether this machine's clock decides. */
  readonly isOfTime?: boolean;
}

const TLS: Readonly<Record<string, TlsReason>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    why: 'its certificate is signed by an unknown CA',
    hint: PRIVATE_CA,
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    why: 'its certificate is signed by an unknown CA',
    hint: PRIVATE_CA,
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    why: 'its certificate is signed by an unknown CA',
    hint: PRIVATE_CA,
  },
  SELF_SIGNED_CERT_IN_CHAIN: {
    why: 'its certificate is signed by an unknown CA',
    hint: PRIVATE_CA,
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: { why: 'its certificate is self-signed', hint: PRIVATE_CA },
  CERT_SIGNATURE_FAILURE: {
    why: 'its certificate is signed by another CA',
    hint: 'The CA may have been replaced: ask for its new certificate and log in with --ca FILE.',
  },
  CERT_HAS_EXPIRED: {
    why: 'its certificate has expired',
    hint: 'Whoever runs the gateway must renew it, if the clock of this machine is right.',
    isOfTime: true,
  },
  CERT_NOT_YET_VALID: {
    why: 'its certificate is not valid yet',
    hint: 'Set the clock of this machine (NTP); if it is right, that of whoever made the certificate was ahead.',
    isOfTime: true,
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    why: 'its certificate is for another name',
    hint: 'Log in with `hoop login --gateway URL`, where URL has the name that the certificate is for.',
  },
};

/**
 * @param gateway base URL
 * @returns a HoopError as it is; else HOOP_UNREACHABLE or HOOP_GATEWAY_TLS
 */
export function describeNetworkError(gateway: string, error: unknown): HoopError {
  const reason = findReason(error);
  if (reason instanceof HoopError) {
    return reason;
  }
  const host = URL.parse(gateway)?.host ?? gateway;
  const code = errorCode(reason) ?? '';
  const tls = TLS[code];
  if (tls !== undefined) {
    return new HoopError('HOOP_GATEWAY_TLS', `cannot trust gateway "${host}": ${tls.why}`, {
      detail: tls.isOfTime ? `This machine’s clock says ${new Date().toISOString()}.` : undefined,
      hint: tls.hint,
      cause: error,
    });
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS')) {
    return new HoopError('HOOP_GATEWAY_TLS', `cannot open TLS to gateway "${host}"`, {
      detail: 'The server there does not speak TLS correctly.',
      hint: 'Check the address and the port.',
      cause: error,
    });
  }
  const why = REACH[code] ?? 'the connection failed';
  return new HoopError('HOOP_UNREACHABLE', `cannot reach gateway "${host}": ${why}`, {
    hint: 'Check the address and that the gateway is running.',
    cause: error,
  });
}

/** Node tries several addresses and reports one AggregateError; undici wraps what the socket said. */
function findReason(error: unknown): unknown {
  if (error instanceof HoopError) {
    return error;
  }
  if (error instanceof AggregateError && error.errors.length > 0) {
    return findReason(error.errors[0]);
  }
  const known = errorCode(error) ?? '';
  if (error instanceof Error && error.cause !== undefined && !(known in REACH) && !(known in TLS)) {
    return findReason(error.cause);
  }
  return error;
}
