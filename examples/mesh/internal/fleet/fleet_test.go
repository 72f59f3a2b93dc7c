package fleet

import (
	"slices"
	"strings"
	"testing"
)

func TestDefaultMeshHasThreeReplicasEachAndOneSlowMovieReplica(t *testing.T) {
	plan, err := Parse(Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan) != 9 {
		t.Fatalf("%d replicas, want 9", len(plan))
	}
	for _, r := range plan {
		want := 1.0
		if r.ID == (ID{Movie, 2}) {
			want = SlowSpeed
		}
		if r.Speed != want || r.Workers != DefaultWorkers {
			t.Errorf("%s: speed %v, workers %d; want %v, %d", r.ID, r.Speed, r.Workers, want, DefaultWorkers)
		}
	}
}

func TestTheMostParticularEntryCounts(t *testing.T) {
	plan, err := Parse(Spec{
		Replicas: []string{"movie=2", "production=1", "talent=1"},
		Speed:    []string{"movie/1=0.5", "movie=2", "4"},
		Workers:  []string{"movie/2=8", "movie=3", "7", "movie/2=9"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Replica{
		{ID{Movie, 1}, 3, 0.5},
		{ID{Movie, 2}, 9, 2},
		{ID{Production, 1}, 7, 4},
		{ID{Talent, 1}, 7, 4},
	}
	if !slices.Equal(plan, want) {
		t.Errorf("got  %v\nwant %v", plan, want)
	}
}

func TestAnySpeedGivenReplacesTheSlowDefault(t *testing.T) {
	plan, err := Parse(Spec{Speed: []string{"talent/1=0.5"}})
	if err != nil {
		t.Fatal(err)
	}
	if plan[1].ID != (ID{Movie, 2}) || plan[1].Speed != 1 {
		t.Errorf("%+v, want movie/2 at speed 1", plan[1])
	}
}

func TestAMeshWithOneMovieReplicaHasNoSlowOne(t *testing.T) {
	plan, err := Parse(Spec{Replicas: []string{"movie=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if plan[0].Speed != 1 {
		t.Errorf("speed %v, want 1", plan[0].Speed)
	}
}

func TestErrorsNameTheValueAndWhatIsAllowed(t *testing.T) {
	tests := []struct {
		spec Spec
		want []string
	}{
		{Spec{Replicas: []string{"movie"}}, []string{`--replicas "movie"`, "movie=5"}},
		{Spec{Replicas: []string{"film=2"}}, []string{`"film"`, "movie, production, talent"}},
		{Spec{Replicas: []string{"movie=0"}}, []string{`"movie=0"`, "from 1 to 50"}},
		{Spec{Replicas: []string{"movie=51"}}, []string{"from 1 to 50"}},
		{Spec{Replicas: []string{"movie=+5"}}, []string{"from 1 to 50"}},
		{Spec{Replicas: []string{"movie="}}, []string{"from 1 to 50"}},
		{Spec{Speed: []string{"movie/9=0.3"}}, []string{`--speed "movie/9=0.3"`, "no movie/9", "movie/1 to movie/3"}},
		{Spec{Speed: []string{"movie/2=fast"}}, []string{`"fast"`, "0.01 to 100"}},
		{Spec{Speed: []string{"movie/2=NaN"}}, []string{`"NaN"`}},
		{Spec{Speed: []string{"movie/2=0"}}, []string{`"0"`}},
		{Spec{Speed: []string{"movie/02=1"}}, []string{`"movie/02"`, "movie/2"}},
		{Spec{Speed: []string{"film/2=1"}}, []string{`"film"`, "movie, production, talent"}},
		{Spec{Workers: []string{"0"}}, []string{`--workers "0"`, "1 to 1024"}},
		{Spec{Workers: []string{"talent=1.5"}}, []string{`"1.5"`}},
		{Spec{Workers: []string{""}}, []string{`--workers ""`}},
	}
	for _, tt := range tests {
		_, err := Parse(tt.spec)
		if err == nil {
			t.Errorf("%+v: no error", tt.spec)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %q lacks %q", tt.spec, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error is not one line: %q", tt.spec, err)
		}
	}
}

func TestANameHasOneSpelling(t *testing.T) {
	for _, s := range []string{"", "movie", "movie/", "movie/0", "movie/-1", "movie/01", "movie/+1", "movie/1/2", "/1", "movie /1"} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("%q was read as %s", s, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"movie/1", "talent/12", "movie/01", "movie", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Errorf("%q was read as %s", s, id)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("movie=5", "movie/2=0.3", "8")
	f.Add("talent=1", "0.5", "movie=4")
	f.Add("=", "/=", "a/b=c")
	f.Fuzz(func(t *testing.T, replicas, speed, workers string) {
		plan, err := Parse(Spec{Replicas: []string{replicas}, Speed: []string{speed}, Workers: []string{workers}})
		if err != nil {
			return
		}
		seen := map[ID]bool{}
		for _, r := range plan {
			if seen[r.ID] {
				t.Errorf("%s is there twice", r.ID)
			}
			seen[r.ID] = true
			if r.Workers < 1 || r.Workers > MaxWorkers || !(r.Speed >= MinSpeed && r.Speed <= MaxSpeed) {
				t.Errorf("out of range: %+v", r)
			}
		}
		if len(plan) < len(Services()) || len(plan) > MaxReplicas*len(Services()) {
			t.Errorf("%d replicas", len(plan))
		}
	})
}
