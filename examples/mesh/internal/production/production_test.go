package production_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
)

func TestTheProductionMethodsWorkOnOneProduction(t *testing.T) {
	client, ctx := meshtest.Start(t).Productions, t.Context()
	stream, err := client.WatchProductions(ctx, &productionv1.WatchProductionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	created, err := client.CreateProduction(ctx, &productionv1.CreateProductionRequest{Production: &productionv1.Production{DisplayName: "Nobody yet"}})
	if err != nil {
		t.Fatal(err)
	}
	if created.Name != "productions/"+created.Id || created.Id == "" {
		t.Errorf("created %v", created)
	}
	updated, err := client.UpdateProduction(ctx, &productionv1.UpdateProductionRequest{Production: &productionv1.Production{Name: created.Name, Etag: created.Etag, DisplayName: "Somebody"}})
	if err != nil || updated.DisplayName != "Somebody" || updated.Etag == created.Etag {
		t.Errorf("updated %v, %v", updated, err)
	}
	rated, err := client.RateProduction(ctx, &productionv1.RateProductionRequest{Name: created.Name, Stars: 8})
	if err != nil || !proto.Equal(rated.AudienceRating, &commonv1.AudienceRating{Average: 8, Count: 1}) {
		t.Errorf("rated %v, %v", rated, err)
	}
	got, err := client.GetProduction(ctx, &productionv1.GetProductionRequest{Name: created.Name})
	if err != nil || !proto.Equal(got, rated) {
		t.Errorf("got %v, %v", got, err)
	}
	batch, err := client.BatchGetProductions(ctx, &productionv1.BatchGetProductionsRequest{Names: []string{created.Name, "productions/9999"}})
	if err != nil || len(batch.Productions) != 1 || !proto.Equal(batch.Productions[0], rated) {
		t.Errorf("got %v, %v", batch, err)
	}
	page, err := client.ListProductions(ctx, &productionv1.ListProductionsRequest{Filter: `displayName : "SOMEBODY"`, OrderBy: "audience_rating.average desc", View: commonv1.View_VIEW_FULL})
	if err != nil || page.TotalSize != 1 || !proto.Equal(page.Productions[0].Filmography, &commonv1.Filmography{}) {
		t.Errorf("listed %v, %v", page, err)
	}
	if _, err := client.DeleteProduction(ctx, &productionv1.DeleteProductionRequest{Name: created.Name, Etag: rated.Etag}); err != nil {
		t.Error(err)
	}
	if _, err := client.GetProduction(ctx, &productionv1.GetProductionRequest{Name: created.Name}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v after it was deleted", err)
	}
	for i, want := range []*productionv1.WatchProductionsResponse{
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_CREATED, Production: created},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_UPDATED, Production: updated},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_UPDATED, Production: rated},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_DELETED, Production: rated},
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
