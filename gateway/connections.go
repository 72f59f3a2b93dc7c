package gateway

import (
	"container/list"
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

	mu   sync.Mutex // guards what follows
	open map[net.Conn]*connection
	// resting are those that ask for nothing, which have not sent the headers of
	// a request yet, or not again; those that rest for longest first.
	resting *list.List
	ended   bool
	// room is signalled when one of them closes or rests, or when it all ends.
	room *sync.Cond
}

// connection is one that was accepted. It leaves when it is closed.
type connection struct {
	net.Conn
	all  *connections
	rest *list.Element // nil while something is answered
}

func newConnections(listener net.Listener, most int) *connections {
	c := &connections{Listener: listener, most: most, open: map[net.Conn]*connection{}, resting: list.New()}
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
	for len(c.open) >= c.most && !c.ended {
		oldest := c.resting.Front()
		if oldest == nil {
			c.room.Wait()
			continue
		}
		gone := oldest.Value.(*connection)
		c.remove(gone)
		_ = gone.Conn.Close()
	}
	if c.ended {
		return false
	}
	c.open[conn] = conn
	conn.rest = c.resting.PushBack(conn)
	return true
}

// remove forgets a connection. The lock is held.
func (c *connections) remove(conn *connection) {
	if c.open[conn] == nil {
		return
	}
	delete(c.open, conn)
	if conn.rest != nil {
		c.resting.Remove(conn.rest)
		conn.rest = nil
	}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.open[plain(conn)]
	switch {
	case of == nil:
	case state == http.StateActive && of.rest != nil:
		c.resting.Remove(of.rest)
		of.rest = nil
	case state == http.StateIdle && of.rest == nil:
		of.rest = c.resting.PushBack(of)
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
