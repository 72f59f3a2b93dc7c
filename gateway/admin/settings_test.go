package admin

import (
	"reflect"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/compress"
	"github.com/evenkeel/evenkeel/gateway/cors"
)

// Whoever adds a field that holds a text has to say whether it may be shown.
// Until then it is hidden.
func TestEveryTextOfTheConfigIsSaidToBeShownOrHidden(t *testing.T) {
	seen := map[reflect.Type]bool{}
	found := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(x reflect.Type) {
		switch x.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(x.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[x] || !ours(x) {
			return
		}
		seen[x] = true
		for i := range x.NumField() {
			f := x.Field(i)
			if !f.IsExported() {
				continue
			}
			if f.Type.Kind() == reflect.String || isTexts(f.Type) {
				name := x.String() + "." + f.Name
				found[name] = true
				if _, said := texts[name]; !said {
					t.Errorf("%s is not in texts: say whether it may be shown", name)
				}
				continue
			}
			walk(f.Type)
		}
	}
	for _, x := range []reflect.Type{
		reflect.TypeFor[gateway.Config](), reflect.TypeFor[gateway.Mounted](), reflect.TypeFor[cors.Config](), reflect.TypeFor[compress.Config](),
	} {
		walk(x)
	}
	for name := range texts {
		if !found[name] {
			t.Errorf("%s is in texts, but there is no such field", name)
		}
	}
}
