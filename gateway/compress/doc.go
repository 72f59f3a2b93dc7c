// Package compress makes answers smaller, by gzip or zstd, as callers accept it.
//
//	compressor, err := compress.New(compress.Config{})
//	…
//	http.ListenAndServe(address, compressor.Middleware(handler))
//
// An answer is compressed if its media type says that it is worth it, if it has
// at least [Config.MinBytes], and if it is neither encoded already nor a part of
// something, nor said not to be transformed (Cache-Control: no-transform). A
// stream is compressed from its first flush on, and what is flushed reaches the
// caller at once. An answer that a handler breaks off by a panic is left without
// an end, so that its caller can tell. HEAD is told what GET would be, but for the
// length of what is compressed.
//
// An ETag stays as it is: it names the resource, and has to come back unchanged
// in If-Match. Caches tell the forms apart by Vary, which is set.
//
// # Secrets
//
// How much an answer shrinks tells something of what is in it. If one holds a
// secret and something that an attacker may choose, and the attacker can make
// browsers ask for it with the secret holder's cookies, the secret can be
// guessed byte by byte (the BREACH attack). Tokens in headers are not at risk.
// For an answer that is, set Cache-Control: no-transform.
//
// # Sources
//
// RFC 9110, sections 8.4, 12.5.3 and 12.5.5; RFC 1952 for gzip; RFC 8878 and
// RFC 9659 for zstd, which bounds its window. The encoders are those of
// github.com/klauspost/compress.
package compress
