package admin

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/compress"
	"github.com/evenkeel/evenkeel/gateway/cors"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// A Setting is a field of the config, by its path, and its value: a number, a
// switch or a text.
type Setting struct {
	Field string
	Value any
}

const (
	set    = "set"
	notSet = "not set"
	hidden = "hidden"
)

// Settings returns the config in force, in the order of its fields: that of the
// gateway, and behind it `Services["name"]` for each service that is mounted.
func Settings(g *gateway.Gateway) []Setting {
	var s settings
	s.add("", reflect.ValueOf(g.Config()))
	for _, m := range g.Services() {
		s.add(fmt.Sprintf("Services[%q]", m.Name), reflect.ValueOf(m))
	}
	return s.all
}

// texts are the fields whose texts are known to be no secrets, by the type that
// has them. All others are hidden.
var texts = map[string]bool{
	"gateway.Config.Realm":          true,
	"gateway.Config.ForwardHeaders": true,
	"gateway.Config.ReturnHeaders":  true,
	"gateway.Health.LivePath":       true,
	"gateway.Health.ReadyPath":      true,
	"gateway.Mounted.Name":          true,
	"gateway.Mounted.Target":        true,
	"gateway.Mounted.State":         true,
	"gateway.OpenAPI.Title":         true,
	"gateway.OpenAPI.Version":       true,
	"gateway.OpenAPI.Description":   true,
	"gateway.OpenAPI.Servers":       true,
	"openapi.Security.BearerFormat": true,
	"policy.Role.Name":              true,
	"policy.Role.Scopes":            true,
	"policy.Member.Issuer":          true,
	"policy.Member.Subject":         false, // who somebody is
	"ratelimit.Policy.Name":         true,
	"retry.Config.Idempotent":       true,
	"cors.Config.Origins":           true,
	"cors.Config.Methods":           true,
	"cors.Config.RequestHeaders":    true,
	"cors.Config.ResponseHeaders":   true,
}

// module is where types come from whose fields are looked into.
var module = strings.TrimSuffix(reflect.TypeFor[gateway.Config]().PkgPath(), "gateway")

// settings collects.
type settings struct{ all []Setting }

func (s *settings) put(path string, value any) { s.all = append(s.all, Setting{path, value}) }

// add shows a value as far as its type says that it is no secret. What is not
// named here is not shown.
func (s *settings) add(path string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case time.Duration:
		s.put(path, x.String())
		return
	case codes.Code:
		s.put(path, problem.CodeName(x))
		return
	case netip.Prefix:
		s.put(path, x.String())
		return
	case *compress.Compressor:
		if x != nil {
			s.add(path, reflect.ValueOf(x.Config()))
			return
		}
	case *cors.Policy:
		if x != nil {
			s.add(path, reflect.ValueOf(x.Config()))
			return
		}
	case *tls.Config:
		s.addTLS(path, x)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		s.put(path, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.put(path, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.put(path, v.Uint())
	case reflect.Float32, reflect.Float64:
		s.put(path, v.Float())
	case reflect.Struct:
		s.addStruct(path, v)
	case reflect.Slice, reflect.Array:
		s.addSlice(path, v)
	case reflect.Pointer:
		if !v.IsNil() && ours(v.Type().Elem()) && v.Elem().Kind() == reflect.Struct {
			s.addStruct(path, v.Elem())
			return
		}
		s.put(path, presence(v))
	case reflect.Interface:
		if v.IsNil() {
			s.put(path, notSet)
			return
		}
		s.put(path, v.Elem().Type().String())
	case reflect.Map:
		s.put(path, fmt.Sprintf("%d entries", v.Len()))
	default: // functions, channels, texts that no field of ours holds
		s.put(path, presence(v))
	}
}

func ours(t reflect.Type) bool { return strings.HasPrefix(t.PkgPath(), module) }

// presence says whether there is something.
func presence(v reflect.Value) string {
	if v.IsZero() {
		return notSet
	}
	return set
}

func (s *settings) addStruct(path string, v reflect.Value) {
	t := v.Type()
	if !ours(t) {
		s.put(path, presence(v))
		return
	}
	if len(reflect.VisibleFields(t)) > 0 && !slices.ContainsFunc(reflect.VisibleFields(t), reflect.StructField.IsExported) {
		s.put(path, set) // it keeps to itself what it holds
		return
	}
	if path != "" {
		path += "."
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		switch {
		case f.Type.Kind() == reflect.String:
			s.put(path+f.Name, text(t, f, v.Field(i)))
		case isTexts(f.Type):
			s.put(path+f.Name, text(t, f, v.Field(i)))
		default:
			s.add(path+f.Name, v.Field(i))
		}
	}
}

func isTexts(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String
}

// text shows a field that holds a text or several, if it is on the list.
func text(t reflect.Type, f reflect.StructField, v reflect.Value) any {
	switch {
	case v.Len() == 0:
		return notSet
	case !texts[t.String()+"."+f.Name]:
		return hidden
	case v.Kind() == reflect.String:
		return v.String()
	default:
		list := make([]string, v.Len())
		for i := range list {
			list[i] = v.Index(i).String()
		}
		return strings.Join(list, ", ")
	}
}

func (s *settings) addSlice(path string, v reflect.Value) {
	if v.Len() == 0 {
		s.put(path, notSet)
		return
	}
	if v.Type().Elem().Kind() == reflect.Uint8 { // bytes may be a key
		s.put(path, hidden)
		return
	}
	for i := range v.Len() {
		s.add(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
	}
}

// addTLS shows what matters of a config that holds keys.
func (s *settings) addTLS(path string, c *tls.Config) {
	if c == nil {
		s.put(path, notSet)
		return
	}
	least := c.MinVersion
	if least == 0 {
		least = tls.VersionTLS12
	}
	s.put(path+".Certificates", len(c.Certificates))
	s.put(path+".GetCertificate", presence(reflect.ValueOf(c.GetCertificate)))
	s.put(path+".GetConfigForClient", presence(reflect.ValueOf(c.GetConfigForClient)))
	s.put(path+".ClientAuth", c.ClientAuth.String())
	s.put(path+".ClientCAs", presence(reflect.ValueOf(c.ClientCAs)))
	s.put(path+".MinVersion", tls.VersionName(least))
}
