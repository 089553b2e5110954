//! russh and russh-sftp.
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{Channel, ChannelMsg};
use russh_sftp::client::SftpSession;
use std::{env, error::Error, fs, io::Write, process::{Command, Stdio}, sync::Arc};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Anybody;

impl client::Handler for Anybody {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> std::result::Result<bool, Self::Error> {
        Ok(true)
    }
}

fn digest(data: &[u8]) -> Result<String> {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no input")?.write_all(data)?;
    Ok(String::from_utf8(child.wait_with_output()?.stdout)?[..64].to_string())
}

async fn ended(mut channel: Channel<client::Msg>) -> Result<(u32, Vec<u8>, Vec<u8>)> {
    let (mut status, mut out, mut err) = (0, vec![], vec![]);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => out.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, .. } => err.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = exit_status,
            _ => (),
        }
    }
    Ok((status, out, err))
}

async fn run(session: &Handle<Anybody>, command: &str, input: &[u8]) -> Result<(u32, Vec<u8>, Vec<u8>)> {
    let channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    channel.data(input).await?;
    channel.eof().await?;
    ended(channel).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let key = PrivateKeyWithHashAlg::new(Arc::new(load_secret_key(env::var("KEY")?, None)?), None);
    let address = (env::var("HOST")?, env::var("PORT")?.parse::<u16>()?);
    let mut session = client::connect(Arc::new(client::Config::default()), address, Anybody).await?;
    if !session.authenticate_publickey(env::var("LOGIN")?, key).await?.success() {
        return Err("no login".into());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    let yes = |value: bool| if value { "True" } else { "False" };
    let input = fs::read(env::var("INPUT")?)?;

    let (status, out, err) = run(&session, &env::var("COMMAND")?, b"").await?;
    println!("exec: {status} {} {}", text(&out), text(&err));
    println!("input: {}", text(&run(&session, "sha256sum", &input).await?.1));
    println!("output: {}", digest(&run(&session, &env::var("OUTPUT_COMMAND")?, b"").await?.1)?);

    let shell = session.channel_open_session().await?;
    shell.request_pty(true, "xterm", 132, 43, 0, 0, &[]).await?;
    shell.window_change(100, 30, 0, 0).await?;
    shell.request_shell(true).await?;
    shell.data(&b"stty size; test -t 0 && echo a-$TERM; exit 5\n"[..]).await?;
    let (status, shown, _) = ended(shell).await?;
    let shown = text(&shown);
    println!("shell: {status} {} {}", yes(shown.contains("30 100")), yes(shown.contains("a-xterm")));

    let channel = session.channel_open_session().await?;
    channel.request_subsystem(true, "sftp").await?;
    let sftp = SftpSession::new(channel.into_stream()).await?;
    let place = env::var("PLACE")?;
    let (path, made) = (format!("{place}/file"), format!("{place}/file.new"));
    drop(sftp.create(&made).await?);
    sftp.write(&made, &input).await?;
    sftp.rename(&made, &path).await?;
    let names: Vec<_> = sftp.read_dir(&place).await?.map(|one| format!("'{}'", one.file_name())).collect();
    let size = sftp.metadata(&path).await?.size.unwrap_or(0);
    println!("sftp: {} [{}] {size}", digest(&sftp.read(&path).await?)?, names.join(", "));
    sftp.remove_file(&path).await?;

    let mut forward = session.channel_open_direct_tcpip("127.0.0.1", env::var("ECHO")?.parse()?, "127.0.0.1", 1).await?;
    forward.data(&b"through"[..]).await?;
    while let Some(message) = forward.wait().await {
        if let ChannelMsg::Data { data } = message {
            println!("forward: {}", text(&data));
            break;
        }
    }
    Ok(())
}
