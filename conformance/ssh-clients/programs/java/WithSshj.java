import java.util.List;
import net.schmizz.sshj.SSHClient;
import net.schmizz.sshj.connection.channel.direct.DirectConnection;
import net.schmizz.sshj.connection.channel.direct.Session;
import net.schmizz.sshj.sftp.RemoteResourceInfo;
import net.schmizz.sshj.sftp.SFTPClient;
import net.schmizz.sshj.transport.verification.PromiscuousVerifier;

/** sshj, as Gradle's plugins, Jenkins and JetBrains use it. */
final class WithSshj {
  public static void main(String[] args) throws Exception {
    try (SSHClient client = new SSHClient()) {
      client.addHostKeyVerifier(new PromiscuousVerifier());
      client.connect(Steps.HOST, Steps.PORT);
      client.authPublickey(Steps.LOGIN, Steps.KEY);
      try (Session session = client.startSession()) {
        Session.Command command = session.exec(Steps.COMMAND);
        String out = Steps.text(command.getInputStream().readAllBytes());
        String err = Steps.text(command.getErrorStream().readAllBytes());
        command.join();
        Steps.say("exec", command.getExitStatus(), out, err);
      }
      try (Session session = client.startSession()) {
        Session.Command command = session.exec("sha256sum");
        command.getOutputStream().write(Steps.input());
        command.getOutputStream().close();
        Steps.say("input", Steps.text(command.getInputStream().readAllBytes()));
      }
      try (Session session = client.startSession()) {
        Session.Command command = session.exec(Steps.OUTPUT_COMMAND);
        Steps.say("output", Steps.digest(command.getInputStream().readAllBytes()));
      }
      try (Session session = client.startSession()) {
        session.allocatePTY("xterm", 132, 43, 0, 0, java.util.Map.of());
        Session.Shell shell = session.startShell();
        shell.changeWindowDimensions(100, 30, 0, 0);
        shell.getOutputStream().write(Steps.TYPED.getBytes());
        shell.getOutputStream().flush();
        String shown = Steps.text(shell.getInputStream().readAllBytes());
        session.join();
        Steps.sayShell(((Session.Command) shell).getExitStatus(), shown);
      }
      try (SFTPClient sftp = client.newSFTPClient()) {
        sftp.put(System.getenv("INPUT"), Steps.FILE + ".new");
        sftp.rename(Steps.FILE + ".new", Steps.FILE);
        byte[] read;
        try (var file = sftp.open(Steps.FILE); var stream = file.new ReadAheadRemoteFileInputStream(16)) {
          read = stream.readAllBytes();
        }
        List<String> names = sftp.ls(Steps.PLACE).stream().map(RemoteResourceInfo::getName).toList();
        Steps.saySftp(read, names, sftp.size(Steps.FILE));
        sftp.rm(Steps.FILE);
      }
      try (DirectConnection forward = client.newDirectConnection("127.0.0.1", Steps.ECHO)) {
        forward.getOutputStream().write("through".getBytes());
        forward.getOutputStream().close();
        Steps.say("forward", Steps.text(forward.getInputStream().readAllBytes()));
      }
    }
  }
}
