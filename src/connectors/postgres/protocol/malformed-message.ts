import { ProtocolError } from '../../../errors.ts';

/** A body that does not have the layout of its type. Every server refuses it and goes on. */
export class MalformedMessage extends ProtocolError {}

/** Bytes that are no text in the encoding of the connection; the server says so and goes on. */
export class UndecodableText extends ProtocolError {}
