import {
  type OneOf,
  readFields,
  type ValuesOf,
  variants,
  writeFields,
} from '../../../../protocol/layout.ts';
import { ATTRIBUTES } from './attributes.ts';
import { HANDLE, PacketReader, type SftpField, STRING, U32 } from './packet-reader.ts';
import { REPLY } from './packet-types.ts';
import { PacketWriter } from './packet-writer.ts';

/** Servers of version 2 end before it, and some of version 3 with them; a language tag follows. */
const MESSAGE: SftpField<string> = {
  read(reader) {
    const message = reader.remaining === 0 ? new Uint8Array(0) : reader.string();
    if (reader.remaining > 0) {
      reader.string();
    }
    return new TextDecoder().decode(message);
  },
  // Language tag: none.
  write: (writer, message) => writer.text(message).text(''),
};

/** `longName`: a line of `ls -l`. */
const ENTRY = { name: STRING, longName: STRING, attributes: ATTRIBUTES } as const;

export type NameEntry = ValuesOf<typeof ENTRY>;

/** Of an entry: two strings and the flags of the attributes. */
const MIN_ENTRY_LENGTH = 12;

const ENTRIES: SftpField<readonly NameEntry[]> = {
  read(reader) {
    const count = reader.u32();
    reader.expect(count, MIN_ENTRY_LENGTH);
    return Array.from({ length: count }, () => readFields(ENTRY, reader));
  },
  write(writer, entries) {
    writer.u32(entries.length);
    for (const entry of entries) writeFields(ENTRY, writer, entry);
  },
};

/** Section 7 of the draft. */
const REPLIES = {
  status: { code: REPLY.status, fields: { code: U32, message: MESSAGE } },
  handle: { code: REPLY.handle, fields: { handle: HANDLE } },
  data: { code: REPLY.data, fields: { data: STRING } },
  name: { code: REPLY.name, fields: { entries: ENTRIES } },
  attrs: { code: REPLY.attrs, fields: { attributes: ATTRIBUTES } },
} as const;

export type SftpReply = OneOf<'type', typeof REPLIES>;

const replies = variants('type', REPLIES);

/**
 * @param body after the id
 * @returns undefined: a type that is no answer to what we ask
 * @throws MalformedPacket
 */
export function decodeReply(type: number, body: Uint8Array): SftpReply | undefined {
  const reader = new PacketReader('reply', body);
  const reply = replies.read(type, reader);
  if (reply !== undefined) reader.end();
  return reply;
}

export function encodeReply(id: number, reply: SftpReply): Uint8Array {
  const writer = new PacketWriter(replies.code(reply), id);
  replies.write(writer, reply);
  return writer.finish();
}

/** Section 4; OpenSSH's PROTOCOL, section 4. */
export interface Extension {
  readonly name: string;
  readonly data: Uint8Array;
}

/** @param body of VERSION, after the version. @throws MalformedPacket */
export function decodeExtensions(body: Uint8Array): Extension[] {
  const reader = new PacketReader('VERSION', body);
  const extensions: Extension[] = [];
  while (reader.remaining > 0) {
    extensions.push({ name: reader.ascii(), data: reader.string() });
  }
  return extensions;
}

export function encodeVersion(version: number, extensions: readonly Extension[]): Uint8Array {
  const writer = new PacketWriter(REPLY.version, version);
  for (const { name, data } of extensions) {
    writer.text(name).string(data);
  }
  return writer.finish();
}
