# Programs that run OpenSSH's client: rsync, git, sshfs, lftp, Ansible, rclone and their like.
. ./steps.sh
ssh="ssh -F $CONFIG"
cp "$INPUT" "$PLACE/here"
rsync -a -e "$ssh" "$PLACE/here" "web-1:$PLACE/there"
echo tail >>"$PLACE/here"
rsync -a -e "$ssh" "$PLACE/here" "web-1:$PLACE/there"
rsync -a -e "$ssh" "web-1:$PLACE/there" "$PLACE/back"
cmp "$PLACE/here" "$PLACE/back" && echo "rsync: same"
rm "$PLACE"/*

git init -q --bare "$PLACE/there.git"
git -c init.defaultBranch=main init -q "$PLACE/here"
git -C "$PLACE/here" -c user.name=a -c user.email=a@b commit -q --allow-empty -m one
export GIT_SSH_COMMAND="$ssh"
git -C "$PLACE/here" push -q "web-1:$PLACE/there.git" HEAD:main
git clone -q -b main "web-1:$PLACE/there.git" "$PLACE/back"
echo "git: $(git -C "$PLACE/back" log --format=%s)"
rm -rf "$PLACE/there.git" "$PLACE/here" "$PLACE/back"

lftp -c "set sftp:connect-program '$ssh -a -x'; set net:max-retries 1; open sftp://web-1; put -O $PLACE $INPUT -o there; mv $PLACE/there $PLACE/moved; get $PLACE/moved -o $PLACE/back"
cmp "$INPUT" "$PLACE/back" && echo "lftp: same"
rm "$PLACE"/*

remote=":sftp,host=$HOST,port=$PORT,user=$LOGIN,key_file=$KEY:$PLACE"
rclone --config /dev/null -q copyto "$INPUT" "$remote/there"
rclone --config /dev/null -q check --download "$PLACE" "$remote" && echo "rclone: same"
rm "$PLACE"/*

# Not in $PLACE: the path of a socket has room for about 90 bytes.
ctl=$(mktemp -d /tmp/ctl-XXXXXX)
trap 'rm -r "$ctl"' EXIT
CTL=$ctl perl -MNet::OpenSSH -e 'my $ssh = Net::OpenSSH->new("web-1", master_opts => ["-F", $ENV{CONFIG}], ctl_dir => $ENV{CTL});
  $ssh->die_on_error; $ssh->scp_put($ENV{INPUT}, "$ENV{PLACE}/there") or die; my ($out, $err) = $ssh->capture2($ENV{COMMAND}); print "Net::OpenSSH: ", $? >> 8, " $out$err"'
cmp "$INPUT" "$PLACE/there"
