import { expect, test } from 'vitest';
import type { Approval, ApprovalsReply } from '../../src/api/approvals.ts';
import { API_VERSION } from '../../src/api/http.ts';
import { HoopError } from '../../src/errors.ts';
import { type ApprovalsFeed, showApprovals } from '../../src/ui/approvals/approvals-view.ts';
import { TERMINAL_RESET } from '../../src/ui/text/terminal-filter.ts';
import { Keyboard, Screen } from './ink-terminal.ts';
import { accessRequest, heldStatement } from './made-approval.ts';

/** What the gateway says, in the order in which a test says it. */
class Feed implements ApprovalsFeed {
  readonly decisions: unknown[] = [];
  #lists: (readonly Approval[] | HoopError)[] = [];
  #more = Promise.withResolvers<void>();

  say(list: readonly Approval[] | HoopError): void {
    this.#lists.push(list);
    this.#more.resolve();
  }

  async *follow(_query: object, signal: AbortSignal): AsyncGenerator<ApprovalsReply> {
    const over = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!signal.aborted) {
      const next = this.#lists.shift();
      if (next instanceof HoopError) throw next;
      if (next !== undefined) yield { v: API_VERSION, cursor: 'c', approvals: [...next] };
      if (this.#lists.length === 0) {
        this.#more = Promise.withResolvers<void>();
        await Promise.race([this.#more.promise, over]);
      }
    }
  }

  find(): Promise<Approval> {
    return Promise.resolve(heldStatement());
  }

  decide(id: string, decision: object): Promise<Approval> {
    this.decisions.push({ id, ...decision });
    return Promise.resolve(heldStatement({ id, state: 'used', needs: [] }));
  }
}

function open(feed: Feed, signal = new AbortController().signal) {
  const screen = new Screen();
  const keyboard = new Keyboard();
  const over = showApprovals(feed, { stdout: screen, stdin: keyboard, color: false, signal });
  return { screen, keyboard, over };
}

test('The view follows, approves what was shown with its binding, and leaves the terminal as it was', async () => {
  const feed = new Feed();
  const { screen, keyboard, over } = open(feed);
  await screen.until('asking the gateway');
  const held = heldStatement();
  // Lists shorten; the whole statement is fetched when it is looked at.
  feed.say([heldStatement({ statement: { text: 'DELETE …', shortened: true } })]);
  await screen.until('WHERE id = $1');
  keyboard.write('a');
  await screen.until('Reason (optional)');
  for (const letter of 'ok q') keyboard.write(letter);
  await screen.until('ok q');
  keyboard.write('\r');
  await screen.until('approved request 7k3mq9xw2c4d');
  expect(feed.decisions).toEqual([
    { id: held.id, decision: 'approve', binding: held.binding, reason: 'ok q' },
  ]);
  feed.say([accessRequest()]);
  await screen.until('fix, for 2 h');
  keyboard.write('q');
  await over;
  expect(screen.text.endsWith(TERMINAL_RESET)).toBe(true);
});

async function openWith(approval: Approval) {
  const feed = new Feed();
  const opened = open(feed);
  await opened.screen.until('asking the gateway');
  feed.say([approval]);
  await opened.screen.until(approval.id);
  return { feed, ...opened };
}

test('Keys that come in one chunk count one by one, Enter among them', async () => {
  const { feed, screen, keyboard, over } = await openWith(heldStatement());
  keyboard.write('ax');
  await screen.until('Reason (optional): x');
  keyboard.write('\x7fok\rq');
  await screen.until('approved request 7k3mq9xw2c4d');
  expect(feed.decisions).toMatchObject([{ decision: 'approve', reason: 'ok' }]);
  // What stood behind the Enter did nothing.
  keyboard.write('?');
  await screen.until('these keys');
  keyboard.write('xq');
  await over;
});

test('What begins a decision does not send it in the same chunk', async () => {
  const { feed, screen, keyboard, over } = await openWith(heldStatement());
  keyboard.write('ayes\r');
  await screen.until('Reason (optional): yes');
  keyboard.write('\x1b');
  await screen.until('a approve');
  keyboard.write('q');
  await over;
  expect(feed.decisions).toEqual([]);
});

test('What is pasted goes into a reason and never decides', async () => {
  const { feed, screen, keyboard, over } = await openWith(heldStatement());
  expect(screen.all).toContain('\x1b[?2004h');
  keyboard.write('\x1b[200~a\r\x1b[201~');
  keyboard.write('d');
  await screen.until('Deny. Reason: ▏');
  keyboard.write('\x1b[200~two\r\nlines q\x1b[201~');
  await screen.until('two lines q');
  expect(feed.decisions).toEqual([]);
  keyboard.write('\r');
  await screen.until('denied request');
  expect(feed.decisions).toMatchObject([{ decision: 'deny', reason: 'two lines q' }]);
  keyboard.write('q');
  await over;
  expect(screen.all).toContain('\x1b[?2004l');
});

test('A gateway that cannot be reached is said, and asked again', async () => {
  const feed = new Feed();
  const { screen, keyboard, over } = open(feed);
  feed.say(new HoopError('HOOP_UNREACHABLE', 'cannot reach the gateway'));
  await screen.until('cannot reach the gateway');
  feed.say([accessRequest()]);
  await screen.until('fix for 2 h');
  keyboard.write('q');
  await over;
});

test('An interruption ends the view with its reason', async () => {
  const stop = new AbortController();
  const { screen, over } = open(new Feed(), stop.signal);
  await screen.until('asking the gateway');
  stop.abort(new HoopError('HOOP_INTERRUPTED', 'interrupted by SIGTERM'));
  await expect(over).rejects.toMatchObject({ code: 'HOOP_INTERRUPTED' });
});
