/** SSH clients that people and their tools have, where each comes from, and how it is run. */
export interface SshClient {
  readonly name: string;
  /** Shell commands that install it in the current directory; none: Debian's packages, which are named. */
  readonly install?: readonly string[];
  readonly packages?: string;
  /** Words of the shell; $PROGRAMS and $INSTALLED are directories. */
  readonly run: string;
}

const PYTHON = ['python3 -m venv venv', 'venv/bin/pip install -q -r "$PROGRAMS/requirements.txt"'];
const JAVA = [
  'cp "$PROGRAMS/java/pom.xml" .',
  'mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=lib',
  'javac -classpath "lib/*" -d classes "$PROGRAMS"/java/*.java',
];
const inPython = (name: string) => `"$INSTALLED/venv/bin/python" "$PROGRAMS/with_${name}.py"`;
const inJava = (name: string) => `java -cp "$INSTALLED/classes:$INSTALLED/lib/*" With${name}`;

export const CLIENTS: readonly SshClient[] = [
  { name: 'openssh', packages: 'openssh-client', run: 'sh with_openssh.sh' },
  {
    name: 'rsync, git, lftp, rclone, Net::OpenSSH',
    packages: 'rsync git lftp rclone libnet-openssh-perl',
    run: 'sh with_others.sh',
  },
  { name: 'dropbear', packages: 'dropbear-bin', run: 'sh with_dropbear.sh' },
  { name: 'putty', packages: 'putty-tools', run: 'sh with_putty.sh' },
  { name: 'curl', packages: 'curl', run: 'sh with_curl.sh' },
  { name: 'php', packages: 'php-cli php-ssh2', run: 'php with_libssh2.php' },
  {
    name: 'net-ssh',
    packages: 'ruby-net-ssh ruby-net-sftp ruby-ed25519 ruby-bcrypt-pbkdf',
    run: 'ruby with_net_ssh.rb',
  },
  {
    name: 'paramiko of Debian',
    packages: 'python3-paramiko',
    run: '/usr/bin/python3 with_paramiko.py',
  },
  { name: 'paramiko', install: PYTHON, run: inPython('paramiko') },
  { name: 'asyncssh', install: PYTHON, run: inPython('asyncssh') },
  { name: 'libssh2', install: PYTHON, run: inPython('libssh2') },
  { name: 'libssh', install: PYTHON, run: inPython('libssh') },
  {
    name: 'go',
    install: ['cp "$PROGRAMS"/go/* .', 'go build -o client .'],
    run: '"$INSTALLED/client"',
  },
  {
    name: 'ssh2',
    install: ['npm init -y', 'npm install --ignore-scripts --no-audit --no-fund ssh2@1.17.0'],
    run: 'cd "$INSTALLED" && node "$PROGRAMS/with_ssh2.mjs"',
  },
  { name: 'jsch', install: JAVA, run: inJava('Jsch') },
  { name: 'sshj', install: JAVA, run: inJava('Sshj') },
  { name: 'mina', install: JAVA, run: inJava('Mina') },
  {
    name: 'russh',
    install: ['cp -r "$PROGRAMS"/rust/* .', 'cargo build --quiet --release'],
    run: '"$INSTALLED/target/release/ssh-client"',
  },
];
