// Package cors says which web pages of other origins may call, and see the
// answers (CORS), and refuses configurations that would open more than meant.
//
//	policy, err := cors.New(cors.Config{
//		Origins: []string{"https://app.example.com", "https://*.partner.example"},
//	})
//	…
//	http.ListenAndServe(address, policy.Middleware(handler))
//
// It belongs before what authenticates: browsers ask whether they may call
// without credentials. It does not keep anybody from calling who is not a
// browser.
//
// # Sources
//
// The Fetch standard, section 3.2; RFC 6454 for origins. The answers are made by
// github.com/rs/cors; what is refused follows that of github.com/jub0bs/cors.
package cors
