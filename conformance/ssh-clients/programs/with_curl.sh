# curl, which has libssh2.
. ./steps.sh
ssh-keygen -y -f "$KEY" >"$PLACE/.key.pub"
on() { curl -sS --insecure --key "$KEY" --pubkey "$PLACE/.key.pub" -u "$LOGIN:" "$@"; }
on -T "$INPUT" "sftp://$HOST:$PORT$PLACE/file.new" -Q "-rename $PLACE/file.new $PLACE/file"
on "sftp://$HOST:$PORT$PLACE/file" -o "$PLACE/back"
on -r 1000-1999 "sftp://$HOST:$PORT$PLACE/file" -o "$PLACE/part"
on "scp://$HOST:$PORT$PLACE/file" -o "$PLACE/old"
say_files
