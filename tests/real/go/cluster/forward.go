package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// forward carries TCP connections from one address to another, for the node: the node has a network of its own, and what a person uses
// (API server, forge, registries) listens on the machine's loopback, where the node cannot come. Usage: forward LISTEN=TARGET...
//
// It ends only when it is killed. A target that is away costs the one connection, so a part may stop and come back behind it.
func forward() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "forward: wants LISTEN=TARGET, one or more")
		os.Exit(2)
	}
	failed := make(chan error)
	for _, pair := range os.Args[1:] {
		listen, target, _ := strings.Cut(pair, "=")
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			fmt.Fprintln(os.Stderr, "forward: cannot listen:", err)
			os.Exit(1)
		}
		go func() { failed <- serve(listener, target) }()
	}
	fmt.Fprintln(os.Stderr, "forward: a listener ended:", <-failed)
	os.Exit(1)
}

func serve(listener net.Listener, target string) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go carry(connection.(*net.TCPConn), target)
	}
}

// carry copies both ways and passes each half's end on, so that neither side waits for a close that has already happened.
func carry(client *net.TCPConn, target string) {
	defer client.Close()
	dialled, err := net.DialTimeout("tcp", target, 10*time.Second)
	if err != nil {
		return
	}
	server := dialled.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{})
	go func() {
		io.Copy(server, client)
		server.CloseWrite()
		close(done)
	}()
	io.Copy(client, server)
	client.CloseWrite()
	<-done
}
