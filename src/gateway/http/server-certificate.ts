/** Judges the gateway's own TLS certificate: whether clients will accept it, and for how long. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { HoopError } from '../../errors.ts';
import type { GatewayConfig } from '../base/config.ts';
import type { Log } from '../base/log.ts';

const DAY_MS = 86_400_000;
/** A certificate that lives shorter than four times this gets its warning in its last quarter. */
const WARN_BEFORE_MS = 21 * DAY_MS;
/** The least time that a renewal needs, over a weekend too. */
const WARN_AT_LEAST_MS = 3 * DAY_MS;
const MAX_NAMES = 3;

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

export interface CertificateState {
  /** E.g. `for gw.example.com, until 2026-12-28 (33 days)`. */
  readonly text: string;
  /** `unusable`: no client accepts it. `ending`: it has to be renewed now. */
  readonly state: 'good' | 'ending' | 'unusable';
  readonly hint: string | undefined;
}

/** @param pem the server's certificate first, then those that signed it */
export function certificateState(
  pem: string,
  hosts: readonly string[],
  nowMs: number,
): CertificateState {
  const chain = (pem.match(PEM) ?? []).map((one) => new X509Certificate(one));
  const [own] = chain;
  if (own === undefined) {
    throw new HoopError('HOOP_CONFIG', 'the TLS certificate file contains no certificate');
  }
  const beginsMs = Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom)));
  const endsMs = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
  const other = hosts.filter((host) => !isFor(own, host));
  const names = other.length === 0 && hosts.length > 0 ? hosts : namesOf(own);
  const text = `for ${names.join(', ')}, until ${day(endsMs)} (${daysLeft(endsMs - nowMs)})`;
  const unusable = (why: string, hint: string) =>
    ({ state: 'unusable', text: `${why}: ${text}`, hint }) as const;
  if (other.length > 0) {
    return unusable(
      `the certificate is not for ${other.join(', ')}`,
      'Clients compare its names with the host of publicUrl (and sessionUrl). Use a certificate with that name.',
    );
  }
  if (nowMs >= endsMs) {
    return unusable('the certificate has expired', 'Renew it, then send the gateway SIGHUP.');
  }
  if (nowMs < beginsMs) {
    return unusable(
      `the certificate is not valid before ${day(beginsMs)}`,
      'Check the clock of this machine.',
    );
  }
  const warnMs = Math.max(WARN_AT_LEAST_MS, Math.min(WARN_BEFORE_MS, (endsMs - beginsMs) / 4));
  return endsMs - nowMs > warnMs
    ? { state: 'good', text, hint: undefined }
    : { state: 'ending', text, hint: 'Renew it now, then send the gateway SIGHUP.' };
}

/** The names by which clients reach a gateway; none if it is configured with no address but "all". */
export function hostsOf({
  publicUrl,
  sessionUrl,
  listen,
}: Pick<GatewayConfig, 'publicUrl' | 'sessionUrl' | 'listen'>): readonly string[] {
  const urls = [publicUrl, sessionUrl].filter((url) => url !== undefined);
  const named = urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
  const isNamed = listen !== 'systemd' && !['0.0.0.0', '::'].includes(listen.host);
  if (publicUrl === undefined && isNamed) {
    named.push(listen.host);
  }
  return [...new Set(named)];
}

/** Logs a certificate that ends soon or cannot be used: once a day, and after each change. */
export class CertificateWatch {
  readonly #hosts: readonly string[];
  readonly #log: Log;
  #pem = '';
  #said = '';

  constructor(hosts: readonly string[], log: Log) {
    this.#hosts = hosts;
    this.#log = log;
  }

  /** @throws HOOP_CONFIG for a certificate that no client would accept */
  require(pem: string, nowMs: number): void {
    const { state, text, hint } = certificateState(pem, this.#hosts, nowMs);
    if (state === 'unusable') {
      throw new HoopError('HOOP_CONFIG', text, { hint });
    }
  }

  use(pem: string, nowMs: number): void {
    this.#pem = pem;
    this.#said = '';
    this.look(nowMs);
  }

  look(nowMs: number): void {
    const { state, text, hint } = certificateState(this.#pem, this.#hosts, nowMs);
    const today = `${state} ${day(nowMs)}`;
    if (state === 'good' || today === this.#said) return;
    this.#said = today;
    const level = state === 'unusable' ? 'error' : 'warn';
    this.#log[level](`tls.certificate_${state}`, { message: text, hint });
  }
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  return found !== undefined;
}

function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const names = subjectAltName?.split(', ') ?? [];
  const found = names.map((name) => name.replace(/^(DNS|IP Address):/, ''));
  if (found.length === 0) return [subject.replaceAll('\n', ', ')];
  const more = found.length - MAX_NAMES;
  return more > 0 ? [...found.slice(0, MAX_NAMES), `${more} more`] : found;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function daysLeft(ms: number): string {
  if (ms < 0) return 'over';
  const days = Math.floor(ms / DAY_MS);
  return days === 1 ? '1 day' : `${days} days`;
}
