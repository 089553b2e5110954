/** Limits of the protocol, each with its source in PostgreSQL. */

/** MAX_STARTUP_PACKET_LENGTH in src/include/libpq/pqcomm.h: the whole packet, length included. */
export const MAX_STARTUP_PACKET_LENGTH = 10_000;

/** Length and protocol code; ProcessStartupPacket refuses anything shorter. */
export const MIN_STARTUP_PACKET_LENGTH = 8;

/**
 * Bytes that the length field of a message may count (itself included). MaxAllocSize, which is
 * PQ_LARGE_MESSAGE_LIMIT in src/backend/tcop/postgres.c: no server sends or takes more.
 */
export const MAX_MESSAGE_LENGTH = 0x3fffffff;

/** Protocol 3.2: "the secret key … up to 256 bytes". Before it was always 4. */
export const MAX_CANCEL_KEY_LENGTH = 256;

/** Protocol 3.2, minimum length of a key that a server gives out; 3.0 has exactly this. */
export const MIN_CANCEL_KEY_LENGTH = 4;

/** PG_MAX_SASL_MESSAGE_LENGTH in src/include/libpq/sasl.h: a message body during SCRAM. */
export const MAX_SASL_MESSAGE_LENGTH = 1024;

/** PG_PROTOCOL_LATEST of PostgreSQL 18: 3.2. */
export const LATEST_MINOR_VERSION = 2;
