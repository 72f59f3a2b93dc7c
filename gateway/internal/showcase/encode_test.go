package showcase_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/googleapis/gapic-showcase/server/genproto"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// httpRequest is a request of the suite as it goes over the wire.
type httpRequest struct {
	template, verb, target, body string
}

// encode writes a request by the first binding of its method that it fits.
func encode(t *testing.T, rpc string, msg *genproto.RepeatRequest) httpRequest {
	t.Helper()
	_, name, _ := strings.Cut(rpc, ".")
	method := genproto.File_google_showcase_v1beta1_compliance_proto.Services().ByName("Compliance").Methods().ByName(protoreflect.Name(name))
	if method == nil {
		t.Fatalf("no method %s", rpc)
	}
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		if encoded, ok := encodeBy(t, r, msg.ProtoReflect()); ok {
			return encoded
		}
	}
	t.Fatalf("%s: no binding of %s fits", msg.GetName(), rpc)
	return httpRequest{}
}

var variable = regexp.MustCompile(`\{([a-z0-9_.]+)(?:=([^}]*))?\}`)

func encodeBy(t *testing.T, rule *annotations.HttpRule, msg protoreflect.Message) (httpRequest, bool) {
	t.Helper()
	r := httpRequest{}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.verb, r.template = "GET", pattern.Get
	case *annotations.HttpRule_Put:
		r.verb, r.template = "PUT", pattern.Put
	case *annotations.HttpRule_Post:
		r.verb, r.template = "POST", pattern.Post
	case *annotations.HttpRule_Patch:
		r.verb, r.template = "PATCH", pattern.Patch
	}
	fits := true
	var done []string
	path := variable.ReplaceAllStringFunc(r.template, func(v string) string {
		parts := variable.FindStringSubmatch(v)
		done = append(done, parts[1])
		value := text(leaf(msg, strings.Split(parts[1], ".")))
		if parts[2] == "" {
			fits = fits && value != ""
			return url.PathEscape(value)
		}
		pattern := regexp.MustCompile("^" + strings.NewReplacer("**", ".+", "*", "[^/]+").Replace(parts[2]) + "$")
		fits = fits && pattern.MatchString(value)
		return strings.ReplaceAll(url.PathEscape(value), "%2F", "/")
	})
	switch body := rule.GetBody(); body {
	case "":
	case "*":
		done = append(done, "")
		r.body = marshal(t, msg)
	default:
		done = append(done, body)
		r.body = marshal(t, msg.Get(msg.Descriptor().Fields().ByName(protoreflect.Name(body))).Message())
	}
	query := url.Values{}
	addQuery(query, "", "", msg, done)
	r.target = path
	if len(query) > 0 {
		r.target += "?" + query.Encode()
	}
	return r, fits
}

func marshal(t *testing.T, m protoreflect.Message) string {
	t.Helper()
	out, err := protojson.Marshal(m.Interface())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// value is a field's, with the field.
type value struct {
	protoreflect.FieldDescriptor
	protoreflect.Value
}

func leaf(msg protoreflect.Message, path []string) value {
	fd := msg.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if len(path) == 1 {
		return value{fd, msg.Get(fd)}
	}
	return leaf(msg.Get(fd).Message(), path[1:])
}

func text(v value) string {
	switch v.Kind() {
	case protoreflect.EnumKind:
		return string(v.FieldDescriptor.Enum().Values().ByNumber(v.Value.Enum()).Name())
	case protoreflect.FloatKind:
		return strconv.FormatFloat(v.Float(), 'g', -1, 32)
	case protoreflect.DoubleKind:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	default:
		return fmt.Sprint(v.Interface())
	}
}

// addQuery adds all fields that are set but for those that are in done, by their
// JSON names.
func addQuery(query url.Values, path, jsonPath string, msg protoreflect.Message, done []string) {
	if slices.Contains(done, path) {
		return
	}
	msg.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at, jsonAt := join(path, string(fd.Name())), join(jsonPath, fd.JSONName())
		switch {
		case slices.Contains(done, at):
		case fd.Message() != nil:
			addQuery(query, at, jsonAt, v.Message(), done)
		default:
			query.Set(jsonAt, text(value{fd, v}))
		}
		return true
	})
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
