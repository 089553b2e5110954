/** Which tags of `git ls-remote` may sign a commit. */
import { HoopError } from '../../errors.ts';

export interface RemoteTag {
  /** Full name of the ref. */
  readonly name: string;
  /** The tag, not what it is on. */
  readonly object: string;
}

/** On one commit; each is fetched, and its signature checked. */
const MAX_TAGS = 256;
const PEELED = '^{}';
/** Nothing that means something in a refspec. */
const NAME = /^refs\/(tags|hoop\/tags)\/[^\0-\x20\x7f:*?[\\^~]+$/;
const OBJECT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/** Annotated tags on the commit. */
export function tagsOn(commit: string, listing: Buffer): RemoteTag[] {
  const refs = refsIn(listing);
  const objects = new Map(refs.map(({ name, object }) => [name, object]));
  const on = refs
    .filter(({ name, object }) => object === commit && name.endsWith(PEELED))
    .map(({ name }) => name.slice(0, -PEELED.length));
  return few(on.map((name) => ({ name, object: objects.get(name) ?? '' })));
}

/** All tags: a bundle says nothing about what they are on. */
export function tagsOf(listing: Buffer): RemoteTag[] {
  return few(refsIn(listing));
}

/** `<object>\t<name>\n` each, https://git-scm.com/docs/git-ls-remote */
function refsIn(listing: Buffer): RemoteTag[] {
  return listing
    .toString('utf8')
    .split('\n')
    .map((line) => ({
      name: line.slice(line.indexOf('\t') + 1),
      object: line.split('\t')[0] ?? '',
    }));
}

function few(tags: readonly RemoteTag[]): RemoteTag[] {
  const taken = tags.filter(({ name, object }) => NAME.test(name) && OBJECT.test(object));
  if (taken.length > MAX_TAGS) {
    throw new HoopError('HOOP_POLICY_FETCH', `a policy commit has more than ${MAX_TAGS} tags`, {
      hint: 'One signed tag is enough; remove the others from the repository.',
    });
  }
  return taken;
}
