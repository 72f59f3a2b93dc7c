package store

import (
	"context"
	"iter"
	"sync"
	"time"
)

// pollInterval is how often a store with watchers looks for changes that other
// processes made. Those of its own process it knows at once.
const pollInterval = 100 * time.Millisecond

// How many changes a watcher reads at once.
const batch = 64

// Change is one write, in the order of all writes.
type Change struct {
	Seq      int64
	Type     int32
	Resource []byte
}

// Head is the number of the latest change; 0 before the first.
func (db *DB) Head(ctx context.Context) (int64, error) {
	var head int64
	err := db.Read(ctx, func(tx Querier) error {
		return tx.QueryRowContext(ctx, "SELECT head FROM meta").Scan(&head)
	})
	return head, err
}

// Changes yields the changes behind the one numbered after, in order and without
// gaps, whichever process made them, and waits for more until ctx is over. It ends
// with an error: ctx's, [ErrTooOld] if the history no longer reaches back so far
// (also for a watcher that falls behind by all of it), or [ErrClosed].
func (db *DB) Changes(ctx context.Context, after int64) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		leave := db.hub.join()
		defer leave()
		for {
			if db.hub.isClosed() {
				yield(Change{}, ErrClosed)
				return
			}
			// The signal is taken before reading, so that a change in between is not missed.
			signal := db.hub.signal()
			changes, err := db.changesAfter(ctx, after)
			if err != nil {
				yield(Change{}, err)
				return
			}
			for _, change := range changes {
				if !yield(change, nil) {
					return
				}
				after = change.Seq
			}
			if len(changes) == batch {
				continue
			}
			select {
			case <-signal:
			case <-db.hub.closed:
				yield(Change{}, ErrClosed)
				return
			case <-ctx.Done():
				yield(Change{}, ctx.Err())
				return
			}
		}
	}
}

func (db *DB) changesAfter(ctx context.Context, after int64) (changes []Change, err error) {
	err = db.Read(ctx, func(tx Querier) error {
		var head, first int64
		const bounds = "SELECT head, ifnull((SELECT min(seq) FROM changes), head + 1) FROM meta"
		if err := tx.QueryRowContext(ctx, bounds).Scan(&head, &first); err != nil {
			return err
		}
		if after < first-1 || after > head {
			return ErrTooOld
		}
		if after == head {
			return nil
		}
		rows, err := tx.QueryContext(ctx, "SELECT seq, type, resource FROM changes WHERE seq > ? ORDER BY seq LIMIT ?", after, batch)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c Change
			if err := rows.Scan(&c.Seq, &c.Type, &c.Resource); err != nil {
				return err
			}
			changes = append(changes, c)
		}
		return rows.Err()
	})
	return changes, err
}

// hub wakes the watchers of one process. Only while there are any does it poll.
type hub struct {
	head   func(context.Context) (int64, error)
	closed chan struct{}

	mu       sync.Mutex
	watchers int
	seen     int64         // the latest change that watchers were woken for
	news     chan struct{} // closed to wake them, then replaced
	stop     func()        // ends the poller and waits for it; nil without one
}

func newHub(head func(context.Context) (int64, error)) *hub {
	return &hub{head: head, closed: make(chan struct{}), news: make(chan struct{})}
}

// join counts a watcher in; leave counts it out.
func (h *hub) join() (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers++
	if h.watchers == 1 && !h.isClosed() {
		h.stop = h.poll()
	}
	return func() {
		h.mu.Lock()
		h.watchers--
		stop := h.stop
		if h.watchers == 0 {
			h.stop = nil
		} else {
			stop = nil
		}
		h.mu.Unlock()
		if stop != nil {
			stop()
		}
	}
}

// signal is closed when there is news.
func (h *hub) signal() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.news
}

// advance wakes the watchers if seq is news to them.
func (h *hub) advance(seq int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq > h.seen {
		h.seen = seq
		close(h.news)
		h.news = make(chan struct{})
	}
}

func (h *hub) poll() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			head, err := h.head(ctx)
			if err != nil {
				if ctx.Err() == nil {
					logger().Warn("cannot look for changes", "error", err)
				}
				continue
			}
			h.advance(head)
		}
	}()
	return func() { cancel(); <-done }
}

func (h *hub) isClosed() bool {
	select {
	case <-h.closed:
		return true
	default:
		return false
	}
}

// close ends the watchers and the poller.
func (h *hub) close() {
	h.mu.Lock()
	stop := h.stop
	h.stop = nil
	if !h.isClosed() {
		close(h.closed)
	}
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
}
