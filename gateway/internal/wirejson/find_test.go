package wirejson_test

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/internal/wirejson"
)

var (
	nameOfBook = fieldsOf(&testv1.Book{}, "title")
	bookTitle  = fieldsOf(&testv1.CreateBookRequest{}, "book", "title")
)

func fieldsOf(msg proto.Message, names ...protoreflect.Name) (path []protoreflect.FieldDescriptor) {
	md := msg.ProtoReflect().Descriptor()
	for _, name := range names {
		fd := md.Fields().ByName(name)
		path, md = append(path, fd), fd.Message()
	}
	return path
}

// checkText compares what is found in a message's bytes with what is there once
// they are decoded.
func checkText(t *testing.T, wire []byte) {
	t.Helper()
	var book testv1.Book
	if proto.Unmarshal(wire, &book) == nil {
		if got := wirejson.Text(wire, nameOfBook); got != book.GetTitle() {
			t.Fatalf("%x: %q, want %q", wire, got, book.GetTitle())
		}
	}
	var request testv1.CreateBookRequest
	if proto.Unmarshal(wire, &request) == nil {
		if got := wirejson.Text(wire, bookTitle); got != request.GetBook().GetTitle() {
			t.Fatalf("%x: %q, want %q", wire, got, request.GetBook().GetTitle())
		}
	}
	_ = wirejson.Text(wire, bookTitle) // must not panic on what is malformed
}

func TestTextIsWhatDecodingFinds(t *testing.T) {
	a, _ := proto.Marshal(&testv1.CreateBookRequest{Parent: "p", Book: &testv1.Book{Name: "n", Title: "a", PageCount: proto.Int32(3)}})
	b, _ := proto.Marshal(&testv1.CreateBookRequest{Book: &testv1.Book{Title: "b"}})
	c, _ := proto.Marshal(&testv1.CreateBookRequest{Book: &testv1.Book{PageCount: proto.Int32(300)}})
	for _, parts := range [][]byte{nil, a, b, c, append(append([]byte{}, a...), b...), append(append([]byte{}, b...), c...)} {
		checkText(t, parts)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		wire := append(append([]byte{}, a...), b...)
		for range random.IntN(4) {
			wire[random.IntN(len(wire))] = byte(random.IntN(256))
		}
		checkText(t, wire[:random.IntN(len(wire)+1)])
	}
}

func TestRawIsWhatHoldsUnknownFieldsOnly(t *testing.T) {
	wire, _ := proto.Marshal(&testv1.Book{Title: "a"})
	raw := &emptypb.Empty{}
	raw.ProtoReflect().SetUnknown(wire)
	if got := wirejson.Raw(raw); string(got) != string(wire) {
		t.Errorf("%x", got)
	}
	mixed := &testv1.Book{Title: "a"}
	if wirejson.Raw(mixed) != nil {
		t.Error("a message with known fields")
	}
	mixed.ProtoReflect().SetUnknown([]byte{0xf8, 0x7f, 1})
	if wirejson.Raw(mixed) != nil {
		t.Error("a message with both")
	}
	if wirejson.Raw(&testv1.Book{}) != nil {
		t.Error("an empty message")
	}
}
