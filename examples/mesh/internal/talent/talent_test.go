package talent_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

func TestThePersonMethodsWorkOnOnePerson(t *testing.T) {
	client, ctx := meshtest.Start(t).People, t.Context()
	stream, err := client.WatchPeople(ctx, &talentv1.WatchPeopleRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	created, err := client.CreatePerson(ctx, &talentv1.CreatePersonRequest{Person: &talentv1.Person{DisplayName: "Nobody yet"}})
	if err != nil {
		t.Fatal(err)
	}
	if created.Name != "people/"+created.Id || created.Id == "" {
		t.Errorf("created %v", created)
	}
	updated, err := client.UpdatePerson(ctx, &talentv1.UpdatePersonRequest{Person: &talentv1.Person{Name: created.Name, Etag: created.Etag, DisplayName: "Somebody"}})
	if err != nil || updated.DisplayName != "Somebody" || updated.Etag == created.Etag {
		t.Errorf("updated %v, %v", updated, err)
	}
	rated, err := client.RatePerson(ctx, &talentv1.RatePersonRequest{Name: created.Name, Stars: 8})
	if err != nil || !proto.Equal(rated.AudienceRating, &commonv1.AudienceRating{Average: 8, Count: 1}) {
		t.Errorf("rated %v, %v", rated, err)
	}
	got, err := client.GetPerson(ctx, &talentv1.GetPersonRequest{Name: created.Name})
	if err != nil || !proto.Equal(got, rated) {
		t.Errorf("got %v, %v", got, err)
	}
	batch, err := client.BatchGetPeople(ctx, &talentv1.BatchGetPeopleRequest{Names: []string{created.Name, "people/9999"}})
	if err != nil || len(batch.People) != 1 || !proto.Equal(batch.People[0], rated) {
		t.Errorf("got %v, %v", batch, err)
	}
	page, err := client.ListPeople(ctx, &talentv1.ListPeopleRequest{Filter: `displayName : "SOMEBODY"`, OrderBy: "audience_rating.average desc", View: commonv1.View_VIEW_FULL})
	if err != nil || page.TotalSize != 1 || !proto.Equal(page.People[0].Filmography, &commonv1.Filmography{}) {
		t.Errorf("listed %v, %v", page, err)
	}
	if _, err := client.DeletePerson(ctx, &talentv1.DeletePersonRequest{Name: created.Name, Etag: rated.Etag}); err != nil {
		t.Error(err)
	}
	if _, err := client.GetPerson(ctx, &talentv1.GetPersonRequest{Name: created.Name}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v after it was deleted", err)
	}
	for i, want := range []*talentv1.WatchPeopleResponse{
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_CREATED, Person: created},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_UPDATED, Person: updated},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_UPDATED, Person: rated},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_DELETED, Person: rated},
	} {
		got, err := stream.Recv()
		if err != nil || got.ResumeToken == "" {
			t.Fatalf("change %d: %v, %v", i, got, err)
		}
		if got.ResumeToken = ""; !proto.Equal(got, want) {
			t.Errorf("change %d is %v, want %v", i, got, want)
		}
	}
}
