package gateway

import (
	"net"
	"net/http"
	"sync"
)

// connections is a listener that bounds how many connections are open. When
// there are too many, the one goes that has asked for nothing for longest, so
// that those who only hold connections open do not keep others out. Where all
// are being answered, a new one waits until one of them ends or rests.
type connections struct {
	net.Listener
	most int

	mu   sync.Mutex // guards what follows, and what connections hold
	open int
	// resting ties those into a ring that ask for nothing, which have not sent the
	// headers of a request yet, or not again; those that rest for longest first.
	resting connection
	ended   bool
	// room is signalled when one of them closes or rests, or when it all ends.
	room *sync.Cond
}

// connection is one that was accepted. It leaves when it is closed.
type connection struct {
	net.Conn
	all *connections
	// left is set once it was closed.
	left bool
	// before and behind are its neighbours in the ring; nil while something is
	// answered.
	before, behind *connection
}

// rest puts a connection at the end of the ring. The lock is held.
func (c *connection) rest() {
	end := &c.all.resting
	c.before, c.behind = end.before, end
	c.before.behind, end.before = c, c
}

// work takes a connection out of the ring, if it is there. The lock is held.
func (c *connection) work() {
	if c.before == nil {
		return
	}
	c.before.behind, c.behind.before = c.behind, c.before
	c.before, c.behind = nil, nil
}

func newConnections(listener net.Listener, most int) *connections {
	c := &connections{Listener: listener, most: most}
	c.resting.before, c.resting.behind = &c.resting, &c.resting
	c.room = sync.NewCond(&c.mu)
	return c
}

func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &connection{Conn: accepted, all: c}
	if !c.add(conn) {
		_ = accepted.Close()
		return nil, net.ErrClosed
	}
	return conn, nil
}

// add waits for room and takes a connection in, unless it all ended meanwhile.
func (c *connections) add(conn *connection) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.most && !c.ended {
		oldest := c.resting.behind
		if oldest == &c.resting {
			c.room.Wait()
			continue
		}
		c.remove(oldest)
		_ = oldest.Conn.Close()
	}
	if c.ended {
		return false
	}
	c.open++
	conn.rest()
	return true
}

// remove forgets a connection. The lock is held.
func (c *connections) remove(conn *connection) {
	if conn.left {
		return
	}
	conn.left = true
	c.open--
	conn.work()
	c.room.Signal()
}

// Close ends the listener, and the wait for room.
func (c *connections) Close() error {
	c.mu.Lock()
	c.ended = true
	c.room.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

// changed is told of a connection's state by the server.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	of, ok := plain(conn).(*connection)
	if !ok || of.all != c || state != http.StateActive && state != http.StateIdle {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case of.left:
	case state == http.StateActive:
		of.work()
	case of.before == nil:
		of.rest()
		c.room.Signal()
	}
}

// plain returns the connection that was accepted, below TLS.
func plain(conn net.Conn) net.Conn {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return over.NetConn()
	}
	return conn
}

func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.remove(c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}
