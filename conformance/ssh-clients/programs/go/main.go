// Go's x/crypto/ssh and pkg/sftp, as rclone, Terraform and Teleport use them.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func check(err error) { must(0, err) }

func status(err error) int {
	if exit, ok := err.(*ssh.ExitError); ok {
		return exit.ExitStatus()
	}
	check(err)
	return 0
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

func main() {
	env := os.Getenv
	signer := must(ssh.ParsePrivateKey(must(os.ReadFile(env("KEY")))))
	client := must(ssh.Dial("tcp", net.JoinHostPort(env("HOST"), env("PORT")), &ssh.ClientConfig{
		User:            env("LOGIN"),
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}))
	defer client.Close()
	input := must(os.ReadFile(env("INPUT")))

	var out, err bytes.Buffer
	session := must(client.NewSession())
	session.Stdout, session.Stderr = &out, &err
	code := status(session.Run(env("COMMAND")))
	fmt.Println("exec:", code, strings.TrimSpace(out.String()), strings.TrimSpace(err.String()))

	session = must(client.NewSession())
	session.Stdin = bytes.NewReader(input)
	fmt.Println("input:", strings.TrimSpace(string(must(session.Output("sha256sum")))))
	session = must(client.NewSession())
	fmt.Println("output:", digest(must(session.Output(env("OUTPUT_COMMAND")))))

	session = must(client.NewSession())
	check(session.RequestPty("xterm", 43, 132, ssh.TerminalModes{ssh.ECHO: 0}))
	check(session.WindowChange(30, 100))
	var shown bytes.Buffer
	session.Stdout = &shown
	session.Stdin = strings.NewReader("stty size; test -t 0 && echo a-$TERM; exit 5\n")
	check(session.Shell())
	code = status(session.Wait())
	has := func(word string) string { return map[bool]string{true: "True", false: "False"}[strings.Contains(shown.String(), word)] }
	fmt.Println("shell:", code, has("30 100"), has("a-xterm"))

	files := must(sftp.NewClient(client, sftp.UseConcurrentWrites(true)))
	path := filepath.Join(env("PLACE"), "file")
	file := must(files.Create(path + ".new"))
	must(file.ReadFrom(bytes.NewReader(input)))
	check(file.Close())
	check(files.PosixRename(path+".new", path))
	file = must(files.Open(path))
	read := must(io.ReadAll(file))
	check(file.Close())
	var names []string
	for _, one := range must(files.ReadDir(env("PLACE"))) {
		names = append(names, "'"+one.Name()+"'")
	}
	fmt.Println("sftp:", digest(read), "["+strings.Join(names, ", ")+"]", must(files.Stat(path)).Size())
	check(files.Remove(path))

	forward := must(client.Dial("tcp", "127.0.0.1:"+env("ECHO")))
	must(forward.Write([]byte("through")))
	answer := make([]byte, 100)
	fmt.Println("forward:", string(answer[:must(forward.Read(answer))]))
}
