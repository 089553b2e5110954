import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.channel.ChannelDirectTcpip;
import org.apache.sshd.client.channel.ChannelExec;
import org.apache.sshd.client.channel.ChannelShell;
import org.apache.sshd.client.channel.ClientChannel;
import org.apache.sshd.client.channel.ClientChannelEvent;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.config.keys.FilePasswordProvider;
import org.apache.sshd.common.keyprovider.FileKeyPairProvider;
import org.apache.sshd.common.util.net.SshdSocketAddress;
import org.apache.sshd.sftp.client.SftpClient;
import org.apache.sshd.sftp.client.SftpClientFactory;

/** Apache MINA SSHD's client, as Gerrit, Jenkins and JGit use it. */
final class WithMina {
  private static int wait(ClientChannel channel) {
    channel.waitFor(EnumSet.of(ClientChannelEvent.CLOSED), Duration.ofSeconds(60));
    Integer status = channel.getExitStatus();
    return status == null ? -1 : status;
  }

  private static byte[] run(ClientSession session, String command, byte[] input) throws Exception {
    try (ChannelExec channel = session.createExecChannel(command)) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      channel.setOut(out);
      channel.setErr(new ByteArrayOutputStream());
      if (input != null) channel.setIn(new ByteArrayInputStream(input));
      channel.open().verify(Duration.ofSeconds(30));
      wait(channel);
      return out.toByteArray();
    }
  }

  public static void main(String[] args) throws Exception {
    try (SshClient client = SshClient.setUpDefaultClient()) {
      client.setServerKeyVerifier((session, address, key) -> true);
      client.setKeyIdentityProvider(new FileKeyPairProvider(Path.of(Steps.KEY)));
      client.start();
      try (ClientSession session = client.connect(Steps.LOGIN, Steps.HOST, Steps.PORT).verify(Duration.ofSeconds(30)).getSession()) {
        session.auth().verify(Duration.ofSeconds(30));
        try (ChannelExec channel = session.createExecChannel(Steps.COMMAND)) {
          ByteArrayOutputStream out = new ByteArrayOutputStream();
          ByteArrayOutputStream err = new ByteArrayOutputStream();
          channel.setOut(out);
          channel.setErr(err);
          channel.open().verify(Duration.ofSeconds(30));
          Steps.say("exec", wait(channel), Steps.text(out.toByteArray()), Steps.text(err.toByteArray()));
        }
        Steps.say("input", Steps.text(run(session, "sha256sum", Steps.input())));
        Steps.say("output", Steps.digest(run(session, Steps.OUTPUT_COMMAND, null)));
        try (ChannelShell shell = session.createShellChannel()) {
          ByteArrayOutputStream shown = new ByteArrayOutputStream();
          shell.setPtyType("xterm");
          shell.setPtyColumns(132);
          shell.setPtyLines(43);
          shell.setOut(shown);
          shell.open().verify(Duration.ofSeconds(30));
          shell.sendWindowChange(100, 30);
          shell.getInvertedIn().write(Steps.TYPED.getBytes());
          shell.getInvertedIn().flush();
          int status = wait(shell);
          Steps.sayShell(status, Steps.text(shown.toByteArray()));
        }
        try (SftpClient sftp = SftpClientFactory.instance().createSftpClient(session)) {
          try (var to = sftp.write(Steps.FILE + ".new")) {
            to.write(Steps.input());
          }
          sftp.rename(Steps.FILE + ".new", Steps.FILE);
          List<String> names = new ArrayList<>();
          for (SftpClient.DirEntry entry : sftp.readDir(Steps.PLACE)) names.add(entry.getFilename());
          try (var from = sftp.read(Steps.FILE)) {
            Steps.saySftp(from.readAllBytes(), names, sftp.stat(Steps.FILE).getSize());
          }
          sftp.remove(Steps.FILE);
        }
        try (ChannelDirectTcpip forward = session.createDirectTcpipChannel(new SshdSocketAddress("127.0.0.1", 1), new SshdSocketAddress("127.0.0.1", Steps.ECHO))) {
          forward.open().verify(Duration.ofSeconds(30));
          forward.getInvertedIn().write("through".getBytes());
          forward.getInvertedIn().flush();
          Steps.say("forward", Steps.text(forward.getInvertedOut().readNBytes(7)));
        }
      }
    }
  }
}
