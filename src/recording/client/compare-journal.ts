/**
 * A bundle held against what the client's machine has kept of the same session: the journal, or the
 * receipt. No signature is checked here, since both files are of this machine's own user.
 */
import { FormatError } from '../../format-error.ts';
import { readBundleContents } from '../bundle/bundle-contents.ts';
import type { BundleSource } from '../bundle/bundle-source.ts';
import { decodeEnvelope } from '../formats/dsse.ts';
import { sameBytes, utf8 } from '../formats/encoding.ts';
import type { Manifest, ManifestCut } from '../formats/manifest.ts';
import { endsOf } from '../formats/stream-ends.ts';
import type { AgreedCut } from '../formats/types.ts';
import { type OpenedJournal, openJournal } from './open-journal.ts';
import { directionName } from './repair.ts';
import { readReceipt } from './spool.ts';

export interface JournalComparison {
  readonly status: 'agrees' | 'differs';
  /** What agrees, or where they differ first. */
  readonly text: string;
}

/**
 * @param directory the spool of this session
 * @returns undefined where the bundle cannot be read, which verify says
 */
export function compareWithJournal(
  directory: string,
  source: BundleSource,
): JournalComparison | undefined {
  const contents = readable(() => readBundleContents(source));
  if (contents === undefined) {
    return undefined;
  }
  const { manifest, envelope } = contents;
  try {
    const receipt = readReceipt(directory);
    // A bundle from before the client has signed has another manifest, and the same cuts.
    if (receipt !== undefined && manifest.clientJournalSha256 !== undefined) {
      const { payload } = decodeEnvelope(utf8(receipt.envelope), 'the receipt');
      return sameBytes(payload, envelope.payload)
        ? { status: 'agrees', text: 'the receipt on this machine is for the same manifest' }
        : differs('the receipt on this machine is for another manifest');
    }
    const journal = openJournal(directory, manifest.session);
    const problem = cutProblem(journal, manifest) ?? endProblem(journal, manifest);
    const cuts = journal.agreed.length;
    return problem === undefined
      ? {
          status: 'agrees',
          text: `the journal on this machine has the same ${cuts === 1 ? 'cut' : `${cuts} cuts`}`,
        }
      : differs(problem);
  } catch (error) {
    if (!(error instanceof FormatError)) {
      throw error;
    }
    return differs(`this machine’s record cannot be read: ${error.message}`);
  }
}

function cutProblem({ agreed, proposed }: OpenedJournal, manifest: Manifest): string | undefined {
  const cuts = manifest.cuts.filter(({ client }) => client !== undefined);
  for (const [index, cut] of agreed.entries()) {
    const listed = cuts[index];
    if (listed === undefined) {
      if (manifest.interim) {
        // Agreed on after the bundle was made.
        return undefined;
      }
      return `the journal on this machine has cut ${index}, but the recording does not`;
    }
    if (!isSameCut(cut, listed)) {
      return `cut ${index} is different in the journal on this machine`;
    }
  }
  // One may have been answered and the answer lost; it was signed here all the same.
  const next = cuts[agreed.length];
  const isKnown = next === undefined || next.client?.signature === proposed?.proposal.signature;
  return isKnown && cuts.length <= agreed.length + 1
    ? undefined
    : `cut ${agreed.length} is not in the journal on this machine`;
}

function isSameCut({ proposal, ack }: AgreedCut, listed: ManifestCut): boolean {
  return (
    listed.root === proposal.root &&
    listed.client?.signature === proposal.signature &&
    listed.gateway.signature === ack.signature
  );
}

function endProblem({ owed }: OpenedJournal, manifest: Manifest): string | undefined {
  if (manifest.interim && manifest.lost.length === 0) {
    // The client may still send back what the gateway's disk has lost.
    return undefined;
  }
  const ends = endsOf(manifest.streams, manifest.lost);
  for (const { stream, up, down } of owed) {
    for (const [direction, end] of [
      [0, up],
      [1, down],
    ] as const) {
      const missing = end - ends(stream, direction);
      if (missing > 0) {
        return `the recording lacks ${missing} bytes of stream ${stream} ${directionName(direction)} that the journal on this machine has`;
      }
    }
  }
  return undefined;
}

function differs(text: string): JournalComparison {
  return { status: 'differs', text };
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) {
      return undefined;
    }
    throw error;
  }
}
