package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// applicationID marks a file as a store of this layout ("EvK" and a number).
const applicationID = 0x45764b01

// layout is what every store has besides its service's own tables.
const layout = `
CREATE TABLE meta (
	-- A key for tokens, and the number of the latest change.
	secret BLOB NOT NULL,
	head   INTEGER NOT NULL
) STRICT;
CREATE TABLE changes (
	seq      INTEGER PRIMARY KEY,
	type     INTEGER NOT NULL,
	resource BLOB NOT NULL
) STRICT;`

// Create makes a store at path with the tables of schema and lets fill insert the
// first rows. It is all or nothing: the file appears when it is complete. If it is
// there already it is left alone, or an error if it was made with another schema.
// Several processes may call it at once; one of them makes the file.
func Create(ctx context.Context, path, schema string, fill func(*Tx) error) error {
	if _, err := os.Stat(path); err == nil {
		return checkSchema(ctx, path, schema)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+".tmp-")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer os.RemoveAll(dir)
	temp := filepath.Join(dir, "new.db")
	if err := build(ctx, temp, schema, fill); err != nil {
		return fmt.Errorf("store: create %s: %w", path, err)
	}
	// A link, unlike a rename, never replaces what another process made meanwhile.
	err = os.Link(temp, path)
	if errors.Is(err, fs.ErrExist) {
		return checkSchema(ctx, path, schema)
	}
	if err != nil { // the file system has no links
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func build(ctx context.Context, path, schema string, fill func(*Tx) error) (err error) {
	pool, err := openPool(path, "rwc", "synchronous(OFF)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	secret := make([]byte, 32)
	rand.Read(secret)
	tx := &Tx{ctx: ctx, conn: conn}
	for _, step := range []func() error{
		func() error { return tx.Exec("BEGIN") },
		func() error { return tx.Exec(layout) },
		func() error { return tx.Exec("INSERT INTO meta (secret, head) VALUES (?, 0)", secret) },
		func() error { return tx.Exec(schema) },
		func() error { return fill(tx) },
		func() error { return tx.Exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)) },
		func() error { return tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", schemaVersion(schema))) },
		func() error { return tx.Exec("COMMIT") },
		// The mode is kept in the file. Closing the only connection leaves no WAL behind.
		func() error { return tx.Exec("PRAGMA journal_mode = WAL") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// schemaVersion tells schemas apart in SQLite's user_version, a signed 32-bit number.
func schemaVersion(schema string) int32 { return int32(crc32.ChecksumIEEE([]byte(layout + schema))) }

// checkSchema opens the file to write, though it only reads: the last to close a file
// takes the WAL with it, which one that only reads cannot.
func checkSchema(ctx context.Context, path, schema string) (err error) {
	pool, err := openPool(path, "rw", "busy_timeout(1000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	var layout int
	var version int32
	const query = "SELECT * FROM pragma_application_id, pragma_user_version"
	if err := pool.QueryRowContext(ctx, query).Scan(&layout, &version); err != nil {
		return fmt.Errorf("store: open %s: %w", path, err)
	}
	switch {
	case layout != applicationID:
		return notOurs(path)
	case version != schemaVersion(schema):
		return fmt.Errorf("store: %s was made by another version of this program: delete it and seed again", path)
	}
	return nil
}

func notOurs(path string) error {
	return fmt.Errorf("store: %s is no store of this program: delete it and seed again", path)
}
