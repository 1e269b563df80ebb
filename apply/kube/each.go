package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

// Each reads a list page by page, by smaller ones where one is too large, and calls do
// with each object until that wants no more. What do does not keep is forgotten with its
// page: nobody knows how many there are, or how large.
func Each(ctx context.Context, from dynamic.ResourceInterface, opts metav1.ListOptions, do func(*unstructured.Unstructured) (more bool, err error)) error {
	if opts.Limit == 0 {
		opts.Limit = pageSize
	}
	for range mostPages {
		page, err := from.List(ctx, opts)
		if less, ok := paging.Smaller(err, opts.Limit); ok {
			opts.Limit = less
			continue
		}
		if err != nil {
			return err
		}
		for i := range page.Items {
			if more, err := do(&page.Items[i]); err != nil || !more {
				return err
			}
		}
		if opts.Continue = page.GetContinue(); opts.Continue == "" {
			return nil
		}
	}
	return errPages
}
