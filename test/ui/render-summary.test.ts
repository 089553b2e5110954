import { expect, test } from 'vitest';
import { renderSummary, type SummarisedSession } from '../../src/ui/render-summary.ts';

const SESSION: SummarisedSession = {
  id: '0197a1b2-0000-7000-8000-000000000001',
  target: 'prod-db',
  commit: '3f2a91c04d5e77aa',
  principal: 'ci/reports',
  statements: 12,
  maskedValues: 340,
  denied: 0,
  denials: [],
  held: 0,
  decided: new Map(),
  durationMs: 4200,
  recording: { state: 'complete', cuts: 3 },
};

function render(changes: Partial<SummarisedSession>): string {
  const gateway = 'https://gw.example.com';
  const sessions = [{ ...SESSION, ...changes }];
  return renderSummary({ gateway, exitStatus: 0, sessions, more: 0 });
}

test('a job that went well is a line of a table and what the recording is worth', () => {
  expect(render({ link: 'https://audit.example.com/s/1' })).toBe(`
### hoop

1 session at \`https://gw.example.com\`; the command ended with 0

| Session | Target | Statements | Denied | Held | Masked values | Time |
| --- | --- | --- | --- | --- | --- | --- |
| [\`0197a1b2-0000-7000-8000-000000000001\`](https://audit.example.com/s/1) | \`prod-db\` | 12 | 0 | 0 | 340 | 4.2 s |

- \`0197a1b2-0000-7000-8000-000000000001\` for \`ci/reports\`, policy \`3f2a91c04d5e\`, recording complete, signed by both sides (3 cuts)
`);
});

test('denials are named with their rules, held statements with what became of them', () => {
  const text = render({
    denied: 3,
    denials: [{ code: 'HOOP_DENIED', message: 'drop is denied', rule: 'engineers/no-structure' }],
    held: 2,
    decided: new Map([
      ['released', 1],
      ['expired', 1],
    ]),
  });
  expect(text).toContain('| **3** | 2 (1 released, 1 expired) |');
  expect(text).toContain('  - denied: drop is denied (`HOOP_DENIED`, `engineers/no-structure`)');
  expect(text).toContain('  - and 2 more');
});

test('columns that came back masked are named, so that nobody takes them for real', () => {
  expect(render({ columnsMasked: ['app.people.email', 'app.people.card'] })).toContain(
    '  - masked in what was returned, so not real: `app.people.email`, `app.people.card`',
  );
});

test('a recording that is not complete is never called so', () => {
  expect(render({ recording: { state: 'tail', cuts: 7 } })).toContain(
    'recording signed by both sides up to cut 7, then by the gateway only',
  );
  const kept = render({ recording: { state: 'kept', because: 'the gateway is gone' } });
  expect(kept).toContain('**recording not signed by both sides**: the gateway is gone');
});

test('a session that the gateway could not be asked about shows what this side has seen', () => {
  const { statements: _, maskedValues: __, principal: ___, ...unknown } = SESSION;
  const gateway = 'https://gw.example.com';
  const text = renderSummary({ gateway, exitStatus: undefined, sessions: [unknown], more: 2 });
  expect(text).toContain('3 sessions at `https://gw.example.com`\n');
  expect(text).toContain('| ? | 0 | 0 | ? |');
  expect(text).toContain('2 more sessions: see `hoop sessions list`');
});

test('nothing that comes from elsewhere is Markdown, HTML or an escape code', () => {
  const text = render({
    target: 'a`|b',
    denied: 1,
    denials: [
      {
        code: 'HOOP_DENIED',
        message: '"<img src=x onerror=1>|[x](https://evil.example)\n# big\x1b[31m @all *bold*"',
        rule: undefined,
      },
    ],
  });
  expect(text).toContain('`a´¦b`');
  expect(text).not.toContain('<img');
  expect(text).not.toContain('](https://evil');
  expect(text).not.toMatch(/^# big/m);
  expect(text).not.toContain('\x1b');
  expect(text).toContain('\\@\u200ball \\*bold\\*');
});

test('an address in a message does not become a link', () => {
  const message = 'see www.evil.example, HTTPS://evil.example or root@evil.example';
  const text = render({ denied: 1, denials: [{ code: 'HOOP_DENIED', message, rule: undefined }] });
  expect(text).toContain('w\u200bww.evil.example, HTTPS:\u200b//evil.example or root\\@\u200bevil');
});

test('the link of a session cannot leave its place, and is https or none', () => {
  const hostile = 'https://audit.example.com/s) ![x](https://evil.example/a"|<b>';
  expect(render({ link: hostile })).toContain(
    `](https://audit.example.com/s%29%20!%5Bx%5D%28https://evil.example/a%22%7C%3Cb%3E) | \`prod-db\``,
  );
  for (const link of ['javascript:alert(1)', 'data:text/html,x', 'not a link']) {
    expect(render({ link })).toContain(`| \`${SESSION.id}\` | \`prod-db\``);
  }
});
