import com.jcraft.jsch.ChannelDirectTCPIP;
import com.jcraft.jsch.ChannelExec;
import com.jcraft.jsch.ChannelSftp;
import com.jcraft.jsch.ChannelShell;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.Session;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;

/** JSch (mwiede's fork), as ant, Eclipse and many others have it. */
final class WithJsch {
  private static int status;

  private static byte[] run(Session session, String command, byte[] input, ByteArrayOutputStream err) throws Exception {
    ChannelExec channel = (ChannelExec) session.openChannel("exec");
    channel.setCommand(command);
    channel.setInputStream(input == null ? null : new ByteArrayInputStream(input));
    channel.setErrStream(err);
    InputStream out = channel.getInputStream();
    channel.connect();
    byte[] read = out.readAllBytes();
    while (!channel.isClosed()) Thread.sleep(10);
    status = channel.getExitStatus();
    channel.disconnect();
    return read;
  }

  public static void main(String[] args) throws Exception {
    JSch jsch = new JSch();
    jsch.addIdentity(Steps.KEY);
    Session session = jsch.getSession(Steps.LOGIN, Steps.HOST, Steps.PORT);
    session.setConfig("StrictHostKeyChecking", "no");
    session.connect();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    byte[] out = run(session, Steps.COMMAND, null, err);
    Steps.say("exec", status, Steps.text(out), Steps.text(err.toByteArray()));
    Steps.say("input", Steps.text(run(session, "sha256sum", Steps.input(), err)));
    Steps.say("output", Steps.digest(run(session, Steps.OUTPUT_COMMAND, null, err)));

    ChannelShell shell = (ChannelShell) session.openChannel("shell");
    shell.setPtyType("xterm", 100, 30, 640, 480);
    InputStream shown = shell.getInputStream();
    shell.setInputStream(new ByteArrayInputStream(Steps.TYPED.getBytes()));
    shell.connect();
    String text = Steps.text(shown.readAllBytes());
    while (!shell.isClosed()) Thread.sleep(10);
    Steps.sayShell(shell.getExitStatus(), text);
    shell.disconnect();

    ChannelSftp sftp = (ChannelSftp) session.openChannel("sftp");
    sftp.connect();
    sftp.put(System.getenv("INPUT"), Steps.FILE + ".new");
    sftp.rename(Steps.FILE + ".new", Steps.FILE);
    byte[] read = sftp.get(Steps.FILE).readAllBytes();
    List<String> names = new ArrayList<>();
    for (ChannelSftp.LsEntry entry : sftp.ls(Steps.PLACE)) names.add(entry.getFilename());
    Steps.saySftp(read, names, sftp.stat(Steps.FILE).getSize());
    sftp.rm(Steps.FILE);
    sftp.disconnect();

    ChannelDirectTCPIP forward = (ChannelDirectTCPIP) session.openChannel("direct-tcpip");
    forward.setHost("127.0.0.1");
    forward.setPort(Steps.ECHO);
    InputStream answer = forward.getInputStream();
    OutputStream question = forward.getOutputStream();
    forward.connect();
    question.write("through".getBytes());
    question.flush();
    Steps.say("forward", Steps.text(answer.readNBytes(7)));
    forward.disconnect();
    session.disconnect();
  }
}
