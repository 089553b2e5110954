<?php
// PHP's ssh2, which has libssh2. It tells nobody the exit status.
$env = getenv();
$session = ssh2_connect($env['HOST'], (int) $env['PORT']);
shell_exec('ssh-keygen -y -f ' . escapeshellarg($env['KEY']) . ' >' . escapeshellarg("{$env['PLACE']}/.key.pub"));
ssh2_auth_pubkey_file($session, $env['LOGIN'], "{$env['PLACE']}/.key.pub", $env['KEY']) || exit(1);

function run($session, string $command): array
{
    $stream = ssh2_exec($session, $command);
    $error = ssh2_fetch_stream($stream, SSH2_STREAM_STDERR);
    stream_set_blocking($stream, true);
    stream_set_blocking($error, true);
    return [stream_get_contents($stream), stream_get_contents($error)];
}

[$out, $err] = run($session, $env['COMMAND']);
echo 'exec: ' . trim($out) . ' ' . trim($err) . "\n";
echo 'output: ' . hash('sha256', run($session, $env['OUTPUT_COMMAND'])[0]) . "\n";
$path = "{$env['PLACE']}/file";
$sftp = ssh2_sftp($session);
$wrapped = 'ssh2.sftp://' . intval($sftp);
file_put_contents("$wrapped$path.new", file_get_contents($env['INPUT']));
ssh2_sftp_rename($sftp, "$path.new", $path);
echo 'sftp: ' . hash_file('sha256', "$wrapped$path") . ' ' . ssh2_sftp_stat($sftp, $path)['size'] . "\n";
ssh2_sftp_unlink($sftp, $path);
$forward = ssh2_tunnel($session, '127.0.0.1', (int) $env['ECHO']);
fwrite($forward, 'through');
// It returns nothing while nothing has come.
for ($answer = '', $until = time() + 30; strlen($answer) < 7 && time() < $until; usleep(10000)) {
    $answer .= fread($forward, 100);
}
echo "forward: $answer\n";
