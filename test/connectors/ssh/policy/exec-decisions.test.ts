// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are commands for a shell
import { expect, test } from 'vitest';
import { describeRules } from '../../../../src/policy/words/describe-grant.ts';
import { decide, grantOf, outcome } from './ssh-fixture.ts';

function exec(grant: ReturnType<typeof grantOf>, command: string | undefined): string {
  return outcome(decide(grant, { kind: 'exec', command }));
}

/** What a developer may do: read, look around, work with git and npm. */
const DEVELOPER = grantOf(
  'allow: { ssh: exec, commands: ["git **", "npm **", "ls **", "ps **", "grep **", "head **", "tail **", "df **", "free **", "wc **", "sort **", "uniq **", "cut **", "tr **", "awk **", "sed -n **", "journalctl **", "systemctl status *", "uptime", "date", "who", "id", "hostname", "uname **", "env", "du **", "stat *", "find **", "xargs **", "sleep *", "which *", "node --version", "NODE_ENV=production node /srv/app/cli.js **", "echo **", "sudo systemctl reload *", "sudo -u app /srv/app/bin/migrate", "bash /srv/app/deploy.sh **", "docker ps", "docker logs **", "timeout **", "nice **", "rsync --server **"] }',
  'allow: { ssh: exec, commands: ["cat /var/log/*", "cat /srv/app/**", "less /var/log/**"] }',
  'allow: { ssh: exec, commands: ["tee /tmp/*", "sort **"], paths: ["/tmp/*", "/srv/app/out/**"] }',
  'deny: { ssh: exec, commands: ["rm **", "git push **"] }',
);

test.each([
  'git status',
  'git status && npm ci',
  'git log --oneline -n 20',
  'git log --format="%h %s" | head -n 5',
  'git commit -m "fix: do not push"',
  "git commit -m 'it''s done'",
  'git commit -m "add (optional) [tests]"',
  'git -C /srv/app status',
  'git stash list',
  'git diff HEAD~1 -- src/a.ts',
  'git show HEAD:package.json',
  'git checkout feature/a#1',
  'GIT_PAGER_IN_USE=1; git log'.replace('GIT_PAGER_IN_USE=1; ', ''),
  'git log | grep -v "Merge branch" | wc -l',
  'npm ci',
  'npm run build -- --mode=production',
  'npm test 2>&1 | tail -n 100',
  'npm ci --no-audit >/dev/null 2>&1',
  'npm ci > /dev/null',
  'cd /srv/app && ls -la',
  'cd /srv/app; git status; ls',
  '(cd /srv/app && git status)',
  '{ cd /srv/app; ls; }',
  'cd "/srv/my app" && ls',
  'cd ~ && ls',
  'ls',
  'ls -la /srv/app',
  '/bin/ls -la',
  '/usr/bin/git status',
  'ls *.log',
  'ls /srv/app/{a,b}',
  'ls -d */',
  'ls ~/projects',
  'ls "$HOME"',
  'ls $HOME',
  'ls -la -- -weird-name',
  'ps aux | grep node | head',
  'ps aux | grep "[n]ode" | awk \'{print $2}\'',
  'ps -ef --forest',
  'df -h; free -m',
  'df -h /',
  'df -h && free -m || echo failed',
  'uptime',
  'date',
  'id; who; hostname',
  'uname -a',
  'du -sh /srv/* | sort -h | tail',
  'journalctl -u app --since "1 hour ago" | tail -n 100',
  'journalctl -u app -f',
  "journalctl -u app --since '2026-01-01 00:00:00' --no-pager",
  'systemctl status nginx',
  'cat /var/log/syslog',
  'cat /var/log/syslog | grep error | wc -l',
  'cat /srv/app/config/default.json',
  'less /var/log/nginx/access.log',
  'grep -r "TODO" /srv/app --include=*.ts',
  "grep -E '^(a|b)+$' /srv/app/a.txt",
  'grep -c "" < /dev/null',
  'tail -n 50 /var/log/app.log | cut -d" " -f1 | sort | uniq -c | sort -rn',
  'tail -f /var/log/app.log',
  "awk '{ print $1 }' /var/log/app.log",
  "sed -n '1,20p' /srv/app/a.txt",
  'find /srv/app -name "*.log" -mtime +7',
  'find /srv -type f -size +100M -print0 | xargs -0 ls -la',
  'find . -name "*.ts" -exec grep -l TODO {} +',
  'find . -name "*.ts" | xargs grep -n TODO',
  'find . -name "*.ts" | xargs -n 1 -P 4 wc -l',
  'test -f x && echo yes',
  'test -d /srv/app || echo missing',
  '[ -f /srv/app/package.json ] && npm ci',
  '[ "$USER" = deploy ] && echo ok',
  'if [ -d .git ]; then git status; else echo none; fi',
  'if ! git diff --quiet; then git status; fi',
  '[[ -f x ]] && ls',
  'for f in a b c; do echo "$f"; done',
  'for f in *.log; do wc -l "$f"; done',
  'for i in 1 2 3; do git fetch && break; sleep 5; done',
  'while read -r line; do echo "$line"; done < /dev/null',
  'case "$1" in start) ls;; *) echo usage;; esac',
  'n=$(ls | wc -l); echo "$n"',
  'branch=$(git rev-parse --abbrev-ref HEAD); echo "on $branch"',
  'echo "$HOME"',
  'echo hello world',
  'echo "$(date): $(uptime)"',
  'echo `date`',
  'echo $((1 + 2))',
  'printf "%s\\n" a b',
  'true',
  ':',
  'pwd',
  'set -e; git status',
  'set -euo pipefail; npm ci | tail',
  'bash -c "git status"',
  "sh -c 'cd /srv/app && npm ci'",
  'bash -lc "npm ci"',
  '/bin/sh -c "echo ok && sleep 0"',
  'bash -euo pipefail -c "git status"',
  'env',
  'env LANG=C ls',
  'LANG=C ls -la',
  'LC_ALL=C sort /srv/app/a.txt',
  'TZ=UTC date',
  'time git status',
  'timeout 10 git fetch',
  'timeout -k 5 10s npm ci',
  'nice -n 10 npm run build',
  'command -v node',
  'which node && node --version',
  'NODE_ENV=production node /srv/app/cli.js jobs run',
  'sudo systemctl reload nginx',
  'sudo -u app /srv/app/bin/migrate',
  'bash /srv/app/deploy.sh staging',
  'docker ps | grep app',
  'docker logs --tail 100 app 2>&1 | grep -i error',
  'sleep 5 & wait',
  'git status # see what changed',
  'git fetch\ngit status\n',
  'git log \\\n  --oneline',
  'sort /srv/app/a.txt > /tmp/a.txt',
  'sort /srv/app/a.txt >> /srv/app/out/deep/a.txt 2>/dev/null',
  'sort < /tmp/a.txt',
  '{ sort x; sort y; } > /tmp/a.txt',
  "sh -c 'sort x' > /tmp/a.txt",
  'sort $(git ls-files) > /tmp/a.txt',
  'ls | tee /tmp/list',
  'grep x <<< "some text"',
  'sort <<EOF\nb\na\nEOF',
  "grep a <<'EOF'\n$(rm x)\nEOF",
  'rsync --server --sender -logDtpre.iLsfxCIvu . /srv/app/',
  'ls -la "/srv/app/Über uns"',
  'ls Büro',
  'unset x; export LANG=C; ls',
  'eval "git status"',
  '',
  '# git status',
  'echo a | xargs',
  'git status > /dev/null &',
])('everyday: %s', (command) => {
  expect(exec(DEVELOPER, command)).toBe('allow');
});

/** None of them is allowed to whoever may do the above. */
const AROUND_ALLOW = [
  'vim',
  'cat /etc/shadow',
  'cat /var/log/../../etc/shadow',
  'cat /var/log/../../../etc/shadow',
  'cat /srv/app/../../etc/shadow',
  'cat /var/log/a /etc/shadow',
  'cat -A /etc/shadow',
  'cat /var/log/nginx/access.log',
  'cat /var/log/$X',
  'cat /var/log/*',
  'cat "/var/log/$X"',
  'cat < /etc/shadow',
  '/tmp/git status',
  './git status',
  'bin/git status',
  '~/bin/git status',
  '/usr/bin/../../tmp/git status',
  '/home/me/bin/ls',
  'Git status',
  'git status; reboot',
  'git status && reboot',
  'git status || reboot',
  'git status | sh',
  'git status | bash',
  'git status & reboot',
  'git status\nreboot',
  'git status\rreboot',
  'git status\r\nreboot',
  'git status $(reboot)',
  'git status `reboot`',
  'git status "$(reboot)"',
  'git status "`reboot`"',
  'git status <(reboot)',
  'git status >(reboot)',
  'git status > /etc/passwd',
  'git status >> ~/.ssh/authorized_keys',
  'git status > authorized_keys',
  'git status >| /etc/passwd',
  'git status &> /etc/passwd',
  'git status 2> /etc/passwd',
  'git status >& /etc/passwd',
  'git status 1<> /etc/passwd',
  'git status > "$F"',
  'git status > /tmp/../etc/passwd',
  'git status > /tmp/a/b',
  'git status > /tmp/a',
  'echo x > /tmp/a',
  '{ sort x; git status; } > /tmp/a',
  'sort x > /tmp/a; git status > /tmp/b',
  '> /tmp/a',
  'echo x > /dev/tcp/10.0.0.1/80',
  'echo x > /dev//tcp/10.0.0.1/80',
  'sort <<EOF\n$(reboot)\nEOF',
  'sort <<EOF\n`reboot`\nEOF',
  'sort <<< $(reboot)',
  'sort <<< "$(reboot)"',
  'bash <<EOF\nreboot\nEOF',
  'sh < /tmp/x',
  'bash',
  'sh -s',
  'bash -i',
  'bash /tmp/x.sh',
  'bash "$X"',
  'bash -c "$X"',
  'bash -c reboot',
  "sh -c 'git status; reboot'",
  'sh -c \'sh -c "reboot"\'',
  'bash -c "git status" --rcfile /tmp/x; reboot',
  'bash --rcfile /tmp/x -c "git status"',
  'bash -c \'"$0"\' reboot',
  'bash -c \'"$@"\' _ reboot',
  'zsh -c "git status"',
  'fish -c "git status"',
  'eval reboot',
  'eval "git status; reboot"',
  'eval "$X"',
  'eval git status \\; reboot',
  'exec reboot',
  'exec -a git reboot',
  'command reboot',
  'command -p reboot',
  'builtin eval reboot',
  'env reboot',
  'env -i reboot',
  'env PATH=/tmp git status',
  'env -S "reboot"',
  'env -S"git status"',
  'env X=1 git status',
  'nohup reboot',
  'nice reboot',
  'nice -n 5 reboot',
  'timeout 5 reboot',
  'timeout "$T" reboot',
  'time reboot',
  'setsid reboot',
  'xargs reboot',
  'echo reboot | xargs sh -c',
  'echo x | xargs -I{} sh -c {}',
  'echo x | xargs -I % %',
  'echo x | xargs -I git git status',
  'echo x | xargs $X',
  'echo x | xargs env',
  'find . -exec reboot \\;',
  'find . -exec sh -c "reboot" \\;',
  'find . -exec {} \\;',
  'find . -ok reboot {} +',
  'find . -delete',
  'find . -fprint /etc/cron.d/x',
  'find $X',
  'find . $X -exec',
  'find . "$X" reboot ";"',
  'sudo reboot',
  'sudo -u root reboot',
  'sudo systemctl reload nginx; sudo reboot',
  'sudo systemctl stop nginx',
  'sudo -E systemctl reload nginx',
  'sudo PATH=/tmp systemctl reload nginx',
  'sudo -s',
  'sudo -i reboot',
  'sudo -u app /srv/app/bin/migrate --force',
  'su -c reboot',
  'su - root -c "reboot"',
  'ssh localhost reboot',
  'watch reboot',
  'busybox reboot',
  'trap reboot EXIT',
  'trap "reboot" EXIT; git status',
  'alias git=reboot; git status',
  'source /tmp/x',
  '. /tmp/x',
  'git() { reboot; }; git status',
  'function git { reboot; }; git status',
  'git () ( reboot ); git status',
  'coproc reboot',
  'PATH=/tmp:$PATH git status',
  'PATH=/tmp; git status',
  'PATH=/tmp git status',
  'export PATH=/tmp; git status',
  'export PATH; git status',
  'LD_PRELOAD=/tmp/x.so git status',
  'LD_PRELOAD=/tmp/x.so sh -c "git status"',
  'GIT_SSH_COMMAND=reboot git fetch',
  'GIT_SSH_COMMAND=reboot sh -c "git fetch"',
  'GIT_SSH_COMMAND=reboot; git fetch',
  'export GIT_SSH_COMMAND=reboot; git fetch',
  'BASH_ENV=/tmp/x bash -c "git status"',
  'IFS=x; git status',
  'IFS=x git status',
  'ENV=/tmp/x sh -c "git status"',
  'NODE_OPTIONS=--require=/tmp/x npm ci',
  'NODE_ENV=development node /srv/app/cli.js x',
  'NODE_ENV=$X node /srv/app/cli.js x',
  'A=1 NODE_ENV=production node /srv/app/cli.js x',
  'NODE_ENV=production PATH=/tmp node /srv/app/cli.js x',
  'node /srv/app/cli.js x',
  'for PATH in /tmp; do git status; done',
  'read PATH < /dev/null; git status',
  'read -a PATH; git status',
  'declare -x PATH=/tmp; git status',
  'typeset PATH=/tmp; git status',
  'printf -v PATH /tmp; git status',
  'printf -v "a[$(reboot)]" x',
  "printf -v 'a[$(reboot)]' x",
  "test -v 'a[$(reboot)]'",
  "[ -v 'a[$(reboot)]' ]",
  "unset 'a[$(reboot)]'",
  "read 'a[$(reboot)]'",
  "x='a[$(reboot)]'; echo $((x))",
  "x='a[$(reboot)]'; (( x ))",
  "x='a[$(reboot)]'; [[ x -eq 1 ]]",
  "x='a[$(reboot)]'; echo ${!x}",
  "x='$(reboot)'; echo ${x@P}",
  "x='a[$(reboot)]'; echo ${y:x}",
  "x='a[$(reboot)]'; echo ${y[x]}",
  'echo $[a]',
  'let x=1',
  'for ((;;)); do reboot; done',
  'echo ${PATH:=/tmp}',
  'echo ${x:-$(reboot)}',
  'echo ${x/a/$(reboot)}',
  'echo ${x#$(reboot)}',
  'echo {a,$(reboot)}',
  'ls *(e:reboot:)',
  'ls ?(a|b)',
  '$CMD',
  '"$CMD"',
  '$X git status',
  '${x:-reboot}',
  '$(echo reboot)',
  '`echo reboot`',
  '{git,reboot} status',
  'g?t status',
  'gi* status',
  '[g]it status',
  '~reboot',
  '=reboot',
  "$'\\x72eboot'",
  "$'\\162eboot'",
  "re''boot",
  're\\boot',
  '"re"boot',
  'reb\\\noot',
  "git status $'\\'; reboot #'",
  'ls &>/dev/null reboot',
  'ls {fd}>/dev/null',
  '[[ a || reboot -nt x ]]',
  '[[ a > /etc/passwd ]]',
  '[[ -n x && reboot ]]',
  'if reboot; then ls; fi',
  'if ls; then reboot; fi',
  'if ls; then ls; else reboot; fi',
  'if ls; then ls; elif reboot; then ls; fi',
  'while reboot; do ls; done',
  'until ls; do reboot; done',
  'for f in $(reboot); do ls; done',
  'for f in a; do reboot; done',
  'case $(reboot) in a) ls;; esac',
  'case a in $(reboot)) ls;; esac',
  'case a in a) reboot;; esac',
  'select x in a; do reboot; done',
  '(reboot)',
  '{ reboot; }',
  '! reboot',
  'x=$(reboot)',
  'x=$(reboot) ls',
  'x=(a $(reboot)); ls',
  'x[$(reboot)]=1; ls',
  'x+=$(reboot); ls',
  'git status (',
  'git status )',
  'git status "',
  "git status '",
  'git status $(',
  'git status ${',
  'git status <<',
  'git status <<EOF\nunfinished $(reboot',
  'git status \\',
  'if git status',
  'git\u00a0status',
  'git status\u2028reboot',
  'git status\u0085reboot',
  'git status \0reboot',
  'git \u200bstatus\u200b;reboot',
  'ｇit status',
  'gіt status',
  'uptime now',
  'systemctl status --root=/x',
  'systemctl status a b',
  'systemctl --root=/x status a',
  'stat -f',
  'docker run -v /:/host x',
  'repeat 2 reboot',
  'nocorrect reboot',
  'parallel reboot ::: a',
  'flock /tmp/l reboot',
  'strace reboot',
  'script -c reboot',
];

test.each(AROUND_ALLOW)('not allowed: %j', (command) => {
  expect(exec(DEVELOPER, command)).toMatch(/^HOOP_(DENIED|NOT_ALLOWED|UNPARSED)$/);
});

test('a hundred ways around, and a hundred things of every day', () => {
  expect(AROUND_ALLOW.length).toBeGreaterThan(200);
});

/** Everything is allowed but rm; each of these may run it. */
const BUT_RM = grantOf('allow: { ssh: exec }', 'deny: { ssh: exec, commands: ["rm **"] }');

test.each([
  'rm x',
  'rm',
  '/bin/rm x',
  './rm x',
  '/tmp/../bin/rm x',
  'RM x',
  '\\rm x',
  "r''m x",
  '"rm" x',
  "$'\\x72m' x",
  '$"rm" x',
  '${x:-rm} y',
  'r${x}m y',
  '{rm,ls} x',
  'rm* x',
  'r? x',
  '$CMD x',
  '"$CMD" x',
  '$(echo rm) x',
  '`echo rm` x',
  'echo $(rm x)',
  'echo "$(rm x)"',
  'echo `rm x`',
  'echo "a `rm x` b"',
  'echo `echo \\`rm x\\``',
  'echo ${x:-$(rm y)}',
  'cat <(rm x)',
  'cat <<EOF\n$(rm x)\nEOF',
  'cat <<< "$(rm x)"',
  'ls; rm x',
  'ls && rm x',
  'ls | rm x',
  'ls & rm x',
  'ls\nrm x',
  '(rm x)',
  '{ rm x; }',
  'if true; then rm x; fi',
  'for f in *; do rm "$f"; done',
  'while rm x; do :; done',
  'case a in *) rm x;; esac',
  'f() { rm x; }; f',
  '! rm x',
  'time rm x',
  'X=1 rm x',
  '>/dev/null rm x',
  'sudo rm x',
  'sudo -u root -- rm x',
  'sudo -n X=1 rm x',
  'doas rm x',
  'env rm x',
  'env X=1 rm x',
  'env -u X rm x',
  'env -S "rm x"',
  'nohup rm x',
  'nice -5 rm x',
  'timeout 5 rm x',
  'timeout -s KILL 5 rm x',
  'stdbuf -oL rm x',
  'setsid rm x',
  'command rm x',
  'builtin command rm x',
  'exec rm x',
  'eval rm x',
  'eval "r"m x',
  'eval "$X"',
  'xargs rm',
  'ls | xargs -n1 rm',
  'ls | xargs -I{} rm {}',
  'ls | xargs sudo rm',
  'find . -exec rm {} \\;',
  'find . -exec rm {} +',
  'find . -execdir sudo rm {} +',
  'find . -delete',
  'find . -exec sh -c \'rm "$1"\' _ {} \\;',
  "sh -c 'rm x'",
  'bash -lc "ls; rm x"',
  'sh -c \'sh -c "rm x"\'',
  "sudo sh -c 'rm x'",
  'echo rm x | sh',
  'bash <<< "rm x"',
  'ssh localhost rm x',
  'ssh localhost "ls; rm x"',
  'su -c "rm x"',
  'watch rm x',
  'busybox rm x',
  'trap "rm x" EXIT',
  'alias ls=rm; ls x',
  'source x',
  'sudo -s rm x',
  'parallel rm ::: x',
  'flock l rm x',
  'strace -f rm x',
  'LD_PRELOAD=x ls',
  'PATH=/tmp ls',
  "ls $'\\'; rm x #'",
  'ls &>/dev/null rm x',
  'repeat 1 rm x',
  'noglob rm x',
  'rm\u00a0x',
  'ls\rrm x',
  'ls \0rm',
  'ls "',
])('denied or unreadable: %j', (command) => {
  expect(exec(BUT_RM, command)).toMatch(/^HOOP_(DENIED|UNPARSED)$/);
});

test.each([
  'ls',
  'echo rm',
  'echo "rm x"',
  'git rm x',
  'grep rm /srv/app/a',
  'cat rm',
  'docker rm x',
  'npm run rm',
  'vim rm.txt',
  'rmdir x',
  'echo $HOME',
  'sh -c "echo rm"',
  "find . -name 'rm'",
  'sudo systemctl restart app',
  'ls > /srv/out',
  './deploy.sh',
  'bash deploy.sh',
])('a deny of rm leaves %j alone', (command) => {
  expect(exec(BUT_RM, command)).toBe('allow');
});

test('an option between the words does not hide what is denied', () => {
  const grant = grantOf(
    'allow: { ssh: exec }',
    'deny: { ssh: exec, commands: ["git push **", "systemctl stop nginx"] }',
  );
  for (const command of [
    'git push',
    'git -C /srv push',
    'git --no-pager push origin',
    'git -c a=b push',
    'systemctl --no-block stop nginx',
    'systemctl stop --no-block nginx',
    'systemctl stop nginx --no-block',
    'systemctl stop NGINX',
  ]) {
    expect(exec(grant, command), command).toBe('HOOP_DENIED');
  }
  for (const command of ['git $X', 'git "$X" origin', 'git -C "$D" $X', 'systemctl stop $X']) {
    expect(exec(grant, command), command).toBe('HOOP_UNPARSED');
  }
  for (const command of [
    'git status',
    'git log --grep push',
    'git commit -m push',
    'git stash push',
    'git log "$X"',
    'systemctl status nginx',
    'systemctl stop php',
  ]) {
    expect(exec(grant, command), command).toBe('allow');
  }
});

test('without rules about certain commands a command need not be read', () => {
  const grant = grantOf('allow: { ssh: exec }');
  for (const command of ['$CMD', 'if', '"', 'rm x > /etc/passwd', 'f() { :; }', undefined]) {
    expect(exec(grant, command)).toBe('allow');
  }
});

test('what cannot be read waits for approval where a rule says so, and a deny still holds', () => {
  const grant = grantOf(
    'allow: { ssh: exec, commands: ["ls **", "echo **"] }',
    'approve: { ssh: exec, commands: unknown }',
    'deny: { ssh: exec, commands: ["rm **"] }',
  );
  for (const command of [
    '"$CMD"',
    '$CMD x',
    'if',
    'bash',
    'ls $(',
    'echo "$X" | "$CMD"',
    undefined,
  ]) {
    expect(exec(grant, command), command).toBe('held');
  }
  expect(exec(grant, 'ls')).toBe('allow');
  expect(exec(grant, 'ls "$X"')).toBe('allow');
  expect(exec(grant, '"$CMD"; rm x')).toBe('HOOP_DENIED');
  expect(exec(grant, '"$CMD"; reboot')).toBe('HOOP_NOT_ALLOWED');
  const alone = grantOf('approve: { ssh: exec, commands: unknown }');
  expect(exec(alone, '"$CMD" x')).toBe('held');
  expect(exec(alone, 'if')).toBe('held');
  expect(exec(alone, '"$CMD"; ls')).toBe('HOOP_NOT_ALLOWED');
  expect(exec(alone, 'true')).toBe('HOOP_NOT_ALLOWED');
  const denied = grantOf(
    'allow: { ssh: exec }',
    '{ deny: { ssh: exec, commands: unknown }, hint: Write it out. }',
  );
  expect(decide(denied, { kind: 'exec', command: '$X' })).toMatchObject({
    refusal: { code: 'HOOP_DENIED', hint: 'Write it out.' },
  });
});

test('an approve rule holds what it may speak of, in whatever way it is written', () => {
  const grant = grantOf(
    'allow: { ssh: exec }',
    'approve: { ssh: exec, commands: ["systemctl restart *"], count: 1 }',
  );
  for (const command of [
    'systemctl restart app',
    'sudo systemctl restart app',
    'systemctl --no-block restart app',
    'ls && systemctl restart app',
    'sh -c "systemctl restart app"',
    'systemctl $X app',
    '$X',
    'if',
  ]) {
    expect(exec(grant, command), command).toBe('held');
  }
  expect(exec(grant, 'systemctl status app')).toBe('allow');
  const alone = grantOf('approve: { ssh: exec, commands: ["systemctl restart *"] }');
  expect(exec(alone, 'systemctl restart app')).toBe('held');
  expect(exec(alone, 'systemctl restart --now')).toBe('HOOP_NOT_ALLOWED');
  expect(exec(alone, 'systemctl restart app; ls')).toBe('HOOP_NOT_ALLOWED');
  expect(exec(alone, '$X')).toBe('HOOP_UNPARSED');
});

test('exact commands are all there is, and the gateway quotes them anew', () => {
  const grant = grantOf(
    'allow: { ssh: exec, commands: ["systemctl restart *", "git-upload-pack *", "echo **"], exact: true }',
  );
  const sent = (command: string) => {
    const verdict = decide(grant, { kind: 'exec', command });
    return verdict.effect === 'allow' ? (verdict.command ?? command) : verdict.refusal.code;
  };
  expect(sent('systemctl restart app')).toBe('systemctl restart app');
  expect(sent('systemctl   restart  "app"')).toBe('systemctl restart app');
  expect(sent("git-upload-pack '/srv/repo.git'")).toBe("git-upload-pack '/srv/repo.git'");
  expect(sent('systemctl restart a\\;b')).toBe("systemctl restart 'a;b'");
  expect(sent("echo it\\'s 'a  b' '*' ''")).toBe("echo 'it'\\''s' 'a  b' '*' ''");
  for (const command of [
    'systemctl restart app; ls',
    'systemctl restart app &',
    '! systemctl restart app',
    '(systemctl restart app)',
    'if systemctl restart app; then :; fi',
    'systemctl restart $X',
    'systemctl restart *',
    'systemctl restart app > /dev/sda',
    'X=1 systemctl restart app',
    'systemctl restart --now',
    'systemctl restart a b',
    'systemctl stop app',
    'sh -c "systemctl restart app"',
    "systemctl restart 'a\nb'",
  ]) {
    expect(sent(command), command).toMatch(/^HOOP_/);
  }
});

test.each([
  ['(', 65_000],
  ['$(', 32_000],
  ['`', 65_000],
  ['${x:-', 13_000],
  ['$((', 20_000],
  ['a;', 32_000],
  ['a ', 32_000],
  ['> b ', 16_000],
  ['eval ', 13_000],
  ['sudo ', 13_000],
  ['[[ a && ', 8_000],
  ['{a,', 20_000],
  ['a <<E\n', 10_000],
  ['a', 100_000],
])('%j many times over is refused', (piece, times) => {
  expect(exec(DEVELOPER, piece.repeat(times))).toMatch(/^HOOP_(NOT_ALLOWED|UNPARSED)$/);
});

test('an exact command that starts another one has no star to hide it', () => {
  const grant = grantOf(
    'allow: { ssh: exec, commands: ["sudo *", "sh -c *", "sudo reboot"], exact: true }',
  );
  expect(exec(grant, 'sudo reboot')).toBe('allow');
  expect(exec(grant, 'sudo halt')).toBe('HOOP_NOT_ALLOWED');
  expect(exec(grant, 'sh -c halt')).toBe('HOOP_NOT_ALLOWED');
});

test('what a program starts needs a rule of its own, unless the rule writes it out', () => {
  const grant = grantOf(
    'allow: { ssh: exec, commands: ["sudo **", "ls **", "sudo systemctl restart *", "sudo env A=1 id", "bash /srv/run.sh", "xargs -n 1 touch"] }',
  );
  expect(exec(grant, 'sudo ls')).toBe('allow');
  expect(exec(grant, 'sudo systemctl restart app')).toBe('allow');
  expect(exec(grant, 'sudo systemctl stop app')).toBe('HOOP_NOT_ALLOWED');
  expect(exec(grant, 'systemctl restart app')).toBe('HOOP_NOT_ALLOWED');
  expect(exec(grant, 'sudo env A=1 id')).toBe('allow');
  expect(exec(grant, 'sudo env A=2 id')).toBe('HOOP_NOT_ALLOWED');
  expect(exec(grant, 'sudo LD_PRELOAD=x ls')).toBe('HOOP_UNPARSED');
  expect(exec(grant, 'bash /srv/run.sh')).toBe('allow');
  expect(exec(grant, 'sudo bash /srv/run.sh')).toBe('allow');
  expect(exec(grant, 'ls | xargs -n 1 touch')).toBe('allow');
  expect(exec(grant, 'ls | xargs touch')).toBe('HOOP_NOT_ALLOWED');
});

test('redirections that a rule denies are found, and those in doubt with them', () => {
  const grant = grantOf('allow: { ssh: exec }', 'deny: { ssh: exec, paths: ["/etc/**"] }');
  expect(exec(grant, 'ls > /srv/out')).toBe('allow');
  expect(exec(grant, 'ls > /etc/passwd')).toBe('HOOP_DENIED');
  expect(exec(grant, 'sort < /ETC/shadow')).toBe('HOOP_DENIED');
  expect(exec(grant, 'ls > /srv/../etc/passwd')).toBe('HOOP_UNPARSED');
  expect(exec(grant, 'ls > passwd')).toBe('HOOP_UNPARSED');
  expect(exec(grant, 'ls > "$F"')).toBe('HOOP_UNPARSED');
  expect(exec(grant, '$X')).toBe('HOOP_UNPARSED');
});

test('a refusal says which part it is about, and what may be done', () => {
  const grant = grantOf(
    '{ name: logs, allow: { ssh: exec, commands: ["journalctl **", "cat /var/log/*"] } }',
    '{ name: restart, approve: { ssh: exec, commands: ["systemctl restart *"] } }',
    '{ name: never, deny: { ssh: exec, commands: ["rm **"] }, hint: Ask ops. }',
  );
  expect(decide(grant, { kind: 'exec', command: 'journalctl -u a && cat /etc/passwd' })).toEqual({
    effect: 'refuse',
    refusal: {
      code: 'HOOP_NOT_ALLOWED',
      message: 'cat is not allowed by policy with these arguments',
      detail: 'No rule of policy c0ffee allows it.',
      hint: 'Allowed here: exec of journalctl **, cat /var/log/*. Once approved: exec of systemctl restart *.',
      position: undefined,
      rule: undefined,
    },
    touches: ['journalctl', 'cat'],
  });
  expect(decide(grant, { kind: 'exec', command: 'sudo rm -rf /' })).toMatchObject({
    refusal: { code: 'HOOP_DENIED', message: 'rm is denied by policy', hint: 'Ask ops.' },
    touches: ['sudo', 'rm'],
  });
  expect(decide(grant, { kind: 'exec', command: '$X' })).toMatchObject({
    refusal: {
      code: 'HOOP_UNPARSED',
      message: 'the command cannot be checked against the rules: a program in it is not literal',
      detail: expect.stringContaining('Rule p/never may deny it.'),
    },
  });
  expect(describeRules(grant)).toEqual([
    'p/logs: allow exec of journalctl **, cat /var/log/*',
    'p/restart: approve exec of systemctl restart * (by one person of the group leads)',
    'p/never: deny exec of rm **',
  ]);
});
