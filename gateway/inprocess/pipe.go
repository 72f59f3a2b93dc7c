package inprocess

import (
	"io"
	"sync"

	"google.golang.org/grpc/mem"
)

// pipe carries messages one way, in their order. One goroutine at a time may
// push, and one may pop.
type pipe struct {
	window             int
	readable, writable chan struct{} // with room for one signal

	mu     sync.Mutex // guards what follows
	queue  []mem.BufferSlice
	bytes  int
	closed bool // nothing more will be pushed
	gone   bool // nothing more will be popped
}

func newPipe(window int) *pipe {
	return &pipe{window: window, readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
}

// push adds a message, which it owns from then on, when there is room. It
// returns io.EOF if nobody reads any more or done is closed.
func (p *pipe) push(data mem.BufferSlice, done <-chan struct{}) error {
	for {
		ok, err := p.tryPush(data)
		if ok || err != nil {
			return err
		}
		select {
		case <-p.writable:
		case <-done:
			data.Free()
			return io.EOF
		}
	}
}

func (p *pipe) tryPush(data mem.BufferSlice) (ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.closed {
		data.Free()
		return false, io.EOF
	}
	n := data.Len()
	if len(p.queue) > 0 && p.bytes+n > p.window {
		return false, nil
	}
	p.queue, p.bytes = append(p.queue, data), p.bytes+n
	signal(p.readable)
	return true, nil
}

// pop returns the next message, which is then the caller's to free, or io.EOF
// after the last. It returns false if done is closed before there is one.
func (p *pipe) pop(done <-chan struct{}) (data mem.BufferSlice, err error, ok bool) {
	for {
		select {
		case <-done:
			return nil, nil, false
		default:
		}
		if data, err, ok := p.tryPop(); ok {
			return data, err, true
		}
		select {
		case <-p.readable:
		case <-done:
			return nil, nil, false
		}
	}
}

func (p *pipe) tryPop() (data mem.BufferSlice, err error, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) > 0 {
		data = p.queue[0]
		p.queue[0] = nil
		p.queue, p.bytes = p.queue[1:], p.bytes-data.Len()
		signal(p.writable)
		return data, nil, true
	}
	return nil, io.EOF, p.closed
}

// close says that nothing more will be pushed.
func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	signal(p.readable)
}

// leave says that nothing more will be popped.
func (p *pipe) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	for _, data := range p.queue {
		data.Free()
	}
	p.queue, p.bytes = nil, 0
	signal(p.writable)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
