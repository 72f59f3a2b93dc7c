package store

import (
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// addFunctions gives a new connection the package's own SQL functions.
func addFunctions(c *sqlite3.Conn) error {
	return c.CreateFunction("contains_fold", 2, sqlite3.DETERMINISTIC|sqlite3.INNOCUOUS, containsFold)
}

// containsFold is the SQL function contains_fold(text, part): whether part occurs
// in text, ignoring case in all scripts, which SQLite's own LIKE does for ASCII only.
// part must be in lower case already: it is the same for every row.
func containsFold(ctx sqlite3.Context, args ...sqlite3.Value) {
	if args[0].Type() == sqlite3.NULL {
		ctx.ResultNull()
		return
	}
	ctx.ResultBool(strings.Contains(strings.ToLower(args[0].Text()), args[1].Text()))
}
