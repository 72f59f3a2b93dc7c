package admin

import (
	"context"
	"fmt"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// maxProfile is how long a profile or a trace may be taken for.
const maxProfile = 2 * time.Minute

// serveProfile answers with a profile, as net/http/pprof does.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	switch name := r.PathValue("name"); name {
	case "profile":
		record(w, r, 30*time.Second, "profile", func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
	case "trace":
		record(w, r, time.Second, "trace", func() error { return trace.Start(w) }, trace.Stop)
	default:
		serveSnapshot(w, r, name)
	}
}

// record takes what takes time.
func record(w http.ResponseWriter, r *http.Request, usual time.Duration, name string, start func() error, stop func()) {
	took := usual
	if s := r.FormValue("seconds"); s != "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || !(seconds > 0 && seconds <= maxProfile.Seconds()) {
			http.Error(w, fmt.Sprintf("seconds: %q: must be more than 0 and at most %v", s, maxProfile.Seconds()), http.StatusBadRequest)
			return
		}
		took = time.Duration(seconds * float64(time.Second))
	}
	asFile(w, name)
	if err := start(); err != nil {
		w.Header().Del("Content-Disposition")
		http.Error(w, "it is being taken already: "+err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	wait(r.Context(), took)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func serveSnapshot(w http.ResponseWriter, r *http.Request, name string) {
	profile := pprof.Lookup(name)
	if profile == nil {
		http.Error(w, "there is no such profile; /debug/pprof/ lists them", http.StatusNotFound)
		return
	}
	debug := 0
	if s := r.FormValue("debug"); s != "" {
		var err error
		if debug, err = strconv.Atoi(s); err != nil || debug < 0 || debug > 2 {
			http.Error(w, "debug: must be 0, 1 or 2", http.StatusBadRequest)
			return
		}
	}
	if debug == 0 {
		asFile(w, name)
	} else {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = profile.WriteTo(w, debug) // the caller may be gone
}

func asFile(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// serveProfiles lists them.
func (a *Admin) serveProfiles(w http.ResponseWriter, _ *http.Request) {
	type row struct {
		Name  string
		Count int
	}
	var rows []row
	for _, p := range pprof.Profiles() {
		rows = append(rows, row{p.Name(), p.Count()})
	}
	a.render(w, "profiles", "Profiles", rows)
}
