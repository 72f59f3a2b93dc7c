package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

// startUpload sends the headers of a client stream, chunked, and returns how to
// send a part and the connection.
func startUpload(t *testing.T, r *running, target string) (send func(string), conn io.ReadWriteCloser) {
	t.Helper()
	c := r.dial()
	header := "POST " + target + " HTTP/1.1\r\nHost: door\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := io.WriteString(c, header); err != nil {
		t.Fatal(err)
	}
	return func(part string) {
		t.Helper()
		if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", len(part), part); err != nil {
			t.Fatal(err)
		}
	}, c
}

func TestABidirectionalStreamAnswersBeforeTheBodyEnds(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		send, conn := startUpload(t, r, "/v1/chat")
		defer conn.Close()
		send(`{"text":"a"}` + "\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(resp.Body)
		for _, text := range []string{"a", "b", "c"} {
			line, err := answers.ReadString('\n')
			if err != nil || !strings.Contains(line, "you said "+text) {
				t.Fatalf("%q, %v", line, err)
			}
			// It may rest for longer than a body may take.
			time.Sleep(10 * time.Minute)
			switch text {
			case "a":
				send("\n\n" + `{"text":`)
				send(`"b"}`)
			case "b":
				send(`{"text":"c"}`)
			}
		}
		if _, err := io.WriteString(conn, "0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

func TestMessagesReachTheBackendOneByOne(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		send, conn := startUpload(t, r, "/v1/books:upload")
		defer conn.Close()
		for i := 1; i <= 3; i++ {
			send(`{"book":{"title":"a"}}` + "\n")
			time.Sleep(20 * time.Second) // in fake time; below Timeouts.ReadBody
			if n := r.books.callCount(); n != i {
				t.Errorf("after %d messages the backend has %d", i, n)
			}
		}
		if _, err := io.WriteString(conn, "0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

func TestAMessageThatDoesNotComeIsAnswered408(t *testing.T) {
	for name, parts := range map[string][]string{"none": nil, "the second": {`{"book":{"title":"a"}}`}, "the rest of one": {`{"book":{"title":"a"}}`, `{"book":`}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, r *running) {
				send, conn := startUpload(t, r, "/v1/books:upload")
				defer conn.Close()
				for _, part := range parts {
					send(part)
				}
				start := time.Now()
				reader := bufio.NewReader(conn)
				resp, err := http.ReadResponse(reader, nil)
				if err != nil || resp.StatusCode != 408 || time.Since(start) != 30*time.Second {
					t.Errorf("%v, %v after %v", resp, err, time.Since(start))
				}
				_, _ = io.Copy(io.Discard, reader) // the connection is closed
			})
		})
	}
}

func TestACallerThatBreaksOffEndsNoUpload(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		send, conn := startUpload(t, r, "/v1/books:upload")
		send(`{"book":{"title":"a"}}`)
		send(`{"book":{"title":"b"}}`)
		time.Sleep(time.Second)
		conn.Close()
		time.Sleep(time.Second)
		if n, ended := r.books.callCount(), r.books.uploads.Load(); n != 2 || ended != 0 {
			t.Errorf("the backend saw %d messages and %d ends", n, ended)
		}
	})
}

func TestAWrongMessageEndsNoBidirectionalUpload(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		for _, bad := range []string{`nonsense`, `{"text":""}`, `{"nonsense":1}`} {
			send, conn := startUpload(t, r, "/v1/chat")
			send(`{"text":"a"}`)
			reader := bufio.NewReader(conn)
			resp, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			send(bad)
			body, err := io.ReadAll(resp.Body)
			if err != nil || !strings.Contains(string(body), `"error":{`) || !strings.Contains(string(body), "INVALID_ARGUMENT") {
				t.Errorf("%s: %q, %v", bad, body, err)
			}
			wantNoInternals(t, string(body))
			conn.Close()
		}
		time.Sleep(time.Second)
		if n := r.books.chats.Load(); n != 0 {
			t.Errorf("the backend took %d broken streams for whole ones", n)
		}
	})
}

func TestEachMessageOfAStreamIsBounded(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Limits.BodyBytes, c.Limits.JSONDepth = 1000, 5 })
	one := `{"book":{"title":"` + strings.Repeat("a", 40) + `"}}`
	// A hundred small ones are more than one may have, and more than is held.
	if v := d.do("POST", "/v1/books:upload", strings.Repeat(one, 100)).want(200).decode(); v["count"] != 100.0 {
		t.Errorf("answer %v", v)
	}
	fits := `{"book":{"title":"x"` + strings.Repeat(" ", 1000-22) + `}}`
	if len(fits) != 1000 {
		t.Fatalf("%d bytes", len(fits))
	}
	d.do("POST", "/v1/books:upload", strings.Repeat(fits, 3)).want(200)
	d.do("POST", "/v1/books:upload", fits+strings.Replace(fits, `{"title"`, `{ "title"`, 1)).wantProblem(413, "INVALID_ARGUMENT")
	d.do("POST", "/v1/books:upload", one+strings.Repeat(" ", 2000)).wantProblem(413, "INVALID_ARGUMENT")
	d.do("POST", "/v1/books:upload", one+strings.Repeat("[", 9)).wantProblem(400, "INVALID_ARGUMENT")
	d.do("POST", "/v1/books:upload", one+strings.Repeat("[", 9)+strings.Repeat("]", 9)).wantProblem(400, "INVALID_ARGUMENT")
	var bomb bytes.Buffer
	gz := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(gz, one+strings.Repeat(" ", 10_000_000))
	_ = gz.Close()
	d.do("POST", "/v1/books:upload", bomb.String(), header("Content-Encoding", "gzip")).wantProblem(413, "INVALID_ARGUMENT")
	d.do("POST", "/v1/books:upload", zipped(t, strings.Repeat(one, 50)), header("Content-Encoding", "gzip")).want(200)
}

func TestMediaIsUploadedInParts(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Limits.BodyBytes = 1 << 20 })
	for size, parts := range map[int]float64{0: 1, 1: 1, 100_000: 4, 3 << 20: 96} {
		v := d.do("POST", "/v1/upload", strings.Repeat("\xff", size), header("Content-Type", "image/png")).want(200).decode()
		if v["bytes"] != fmt.Sprint(size) || v["parts"].(float64) < parts || size > 0 && v["contentType"] != "image/png" {
			t.Errorf("%d bytes: %v", size, v)
		}
	}
}

func TestADrainEndsAnUploadThatWaits(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		send, conn := startUpload(t, r, "/v1/books:upload")
		defer conn.Close()
		send(`{"book":{"title":"a"}}`)
		time.Sleep(time.Second)
		r.stop()
		start := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 503 || time.Since(start) > time.Second {
			t.Errorf("%v, %v after %v", resp, err, time.Since(start))
		}
	})
}

func TestTheFirstMessageHasWhatTheQuerySays(t *testing.T) {
	d := newDoor(t, nil)
	v := d.do("POST", "/v1/books:uploadInto?dry_run=true&parent=shelves/7", `{"title":"a"}{"title":"b"}`).want(200).decode()
	all, _ := v["requests"].([]any)
	if len(all) != 2 {
		t.Fatalf("answer %v", v)
	}
	first, second := all[0].(map[string]any), all[1].(map[string]any)
	if first["parent"] != "shelves/7" || first["dryRun"] != true || second["parent"] != "" || second["dryRun"] != false || second["book"].(map[string]any)["title"] != "b" {
		t.Errorf("first %v, second %v", first, second)
	}
	d.do("POST", "/v1/books:uploadInto?dry_run=x", `{"title":"a"}`).wantField("dryRun")
	d.do("POST", "/v1/books:uploadInto", `{"nonsense":"a"}`).wantField("book.nonsense")
}

func TestABidirectionalStreamOverHTTP2(t *testing.T) {
	_, client := serveTLS(t, nil)
	body, messages := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://door/v1/chat", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	go func() { _, _ = io.WriteString(messages, `{"text":"a"}`+"\n") }()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answers := bufio.NewReader(resp.Body)
	for _, text := range []string{"a", "b"} {
		line, err := answers.ReadString('\n')
		if err != nil || resp.ProtoMajor != 2 || !strings.Contains(line, "you said "+text) {
			t.Fatalf("%s: %q, %v", resp.Proto, line, err)
		}
		if text == "a" {
			_, _ = io.WriteString(messages, `{"text":"b"}`)
		}
	}
	_, _ = io.WriteString(messages, `{"text":""}`)
	rest, err := io.ReadAll(answers)
	if err != nil || !strings.Contains(string(rest), `"string.min_len"`) {
		t.Errorf("%q, %v", rest, err)
	}
	_ = messages.Close()
}
