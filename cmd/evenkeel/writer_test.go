package main

import (
	"database/sql"
	"fmt"
	"io"
	"os"

	_ "github.com/ncruces/go-sqlite3/driver"
)

// holdLock is a writer in the middle of a write: it holds the lock of a database
// until its input ends.
func holdLock(path string) int {
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate")
	if err == nil {
		_, err = db.Begin()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("locked")
	io.Copy(io.Discard, os.Stdin)
	return 0

}
