/**
 * What a stream of kind `ssh` carries, in both directions: the channels of one local SSH connection
 * (RFC 4254), without the encryption and the key exchange, which the CLI ends with the local client
 * and the gateway begins anew with the target. Both sides of a session record and hash these frames.
 *
 *   client (CLI)                          gateway
 *     |-- hello {user, client} ------------>|  connects to the target, as policy and credential say
 *     |<-- hello {server} ------------------|  or disconnect {message}
 *     |-- open 0 session ------------------>|
 *     |<-- opened 0 ------------------------|  or openFailed
 *     |-- notCarried -R ------------------->|  refused here; for the record
 *     |-- request 0 exec "ls" (reply) ----->|  decided, perhaps held
 *     |<-- success 0 -----------------------|  or failure, with a text on stderr before it
 *     |<-- data 0, extended 0, window 0 ----|  within the credit that the receiver gave
 *     |-- eof 0 --->        <-- exit 0 -----|
 *     |<-- eof 0, close 0 ------------------|
 *     |-- close 0 ------------------------->|
 *
 * A frame is `length | type | channel | body`, see frame-types.ts. Channels have one number for both ends, given by the client, never used twice in a stream. Data
 * and extended data together stay within the credit: `window` of open and opened, and of each
 * window frame. Everything else passes without credit, so that a signal overtakes nothing and yet
 * never waits for a reader.
 */

import type { NotCarried } from './not-carried.ts';

/** Bytes of data on a channel before its receiver has to give more: as many as OpenSSH takes. */
export const CHANNEL_WINDOW_BYTES = 2 * 1024 * 1024;
/** Body of one data frame. */
export const MAX_DATA_BYTES = 256 * 1024;
/** Channels open at once in a stream. */
export const MAX_CHANNELS = 64;
/** A command, or the value of an environment variable; what OpenSSH takes in a packet. */
export const MAX_STRING_BYTES = 256 * 1024;
/** A user, a host, a terminal, a signal: what is called by a name. */
export const MAX_NAME_BYTES = 1024;
/** For people: why something is refused or has ended. */
export const MAX_MESSAGE_BYTES = 16 * 1024;
/** RFC 4254 §8: five bytes for each of at most 160 modes. */
export const MAX_MODES_BYTES = 1024;

/** The first frame of either side. */
export type HelloFrame =
  | {
      readonly type: 'hello';
      readonly from: 'client';
      /** Name that the local client logged in with: the login that is asked for on the target. */
      readonly user: string;
      /** Identification of the local client's software, e.g. `OpenSSH_9.2p1`; untrusted. */
      readonly software: string;
    }
  | {
      readonly type: 'hello';
      readonly from: 'gateway';
      /** Of the target. */
      readonly software: string;
    };

export type ChannelTarget =
  | { readonly kind: 'session' }
  /** RFC 4254 §7.2. */
  | {
      readonly kind: 'direct-tcpip';
      readonly host: string;
      readonly port: number;
      readonly originHost: string;
      readonly originPort: number;
    };

/** RFC 4254 §6: what is known. Others never leave the CLI, and the gateway refuses them. */
export type ChannelRequest =
  | {
      readonly kind: 'pty-req';
      readonly term: string;
      readonly columns: number;
      readonly rows: number;
      readonly widthPixels: number;
      readonly heightPixels: number;
      /** Encoded terminal modes, RFC 4254 §8. */
      readonly modes: Uint8Array;
    }
  | {
      readonly kind: 'window-change';
      readonly columns: number;
      readonly rows: number;
      readonly widthPixels: number;
      readonly heightPixels: number;
    }
  | { readonly kind: 'env'; readonly name: string; readonly value: string }
  | { readonly kind: 'shell' }
  /** Bytes, because a command need not be UTF-8. */
  | { readonly kind: 'exec'; readonly command: Uint8Array }
  | { readonly kind: 'subsystem'; readonly name: string }
  /** Without `SIG`. */
  | { readonly kind: 'signal'; readonly name: string }
  /** RFC 4335. */
  | { readonly kind: 'break'; readonly milliseconds: number }
  /** OpenSSH's `eow@openssh.com`, without reply: who sends it reads no more. */
  | { readonly kind: 'eow' };

/** From the CLI to the gateway. */
export type UpFrame =
  | Extract<HelloFrame, { from: 'client' }>
  | {
      readonly type: 'open';
      readonly channel: number;
      readonly target: ChannelTarget;
      /** Credit for data from the gateway. */
      readonly window: number;
    }
  | {
      readonly type: 'request';
      readonly channel: number;
      readonly wantReply: boolean;
      readonly request: ChannelRequest;
    }
  /**
   * Somebody asked for this, and the CLI has refused it: for the record, nothing follows from it.
   * Each at most once in a stream; only to a gateway that says that it knows the frame.
   */
  | { readonly type: 'notCarried'; readonly what: NotCarried }
  | { readonly type: 'data'; readonly channel: number; readonly data: Uint8Array }
  | { readonly type: 'window'; readonly channel: number; readonly bytes: number }
  | { readonly type: 'eof'; readonly channel: number }
  | { readonly type: 'close'; readonly channel: number };

/** From the gateway to the CLI. */
export type DownFrame =
  | Extract<HelloFrame, { from: 'gateway' }>
  | { readonly type: 'opened'; readonly channel: number; readonly window: number }
  /** RFC 4254 §5.1: 1 prohibited, 2 connect failed, 3 unknown type, 4 shortage. */
  | {
      readonly type: 'openFailed';
      readonly channel: number;
      readonly reason: number;
      readonly message: string;
    }
  /** Replies come in the order of the requests that wanted one. */
  | { readonly type: 'success'; readonly channel: number }
  | { readonly type: 'failure'; readonly channel: number }
  | { readonly type: 'data'; readonly channel: number; readonly data: Uint8Array }
  /** SSH_EXTENDED_DATA_STDERR, the only kind there is. */
  | { readonly type: 'stderr'; readonly channel: number; readonly data: Uint8Array }
  | { readonly type: 'window'; readonly channel: number; readonly bytes: number }
  | { readonly type: 'exitStatus'; readonly channel: number; readonly status: number }
  | {
      readonly type: 'exitSignal';
      readonly channel: number;
      readonly name: string;
      readonly coreDumped: boolean;
      readonly message: string;
    }
  | { readonly type: 'eof'; readonly channel: number }
  | { readonly type: 'close'; readonly channel: number }
  /** The last frame: the target was not reached, or is gone, or the session ends. */
  | { readonly type: 'disconnect'; readonly message: string };
