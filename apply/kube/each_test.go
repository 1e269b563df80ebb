package kube

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
)

// shelf has objects of which no answer may hold more than some.
type shelf struct {
	dynamic.ResourceInterface

	has, most int
	asked     []int64
}

func (s *shelf) List(_ context.Context, opts metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	s.asked = append(s.asked, opts.Limit)
	from, _ := strconv.Atoi(opts.Continue)
	n := min(int(opts.Limit), s.has-from)
	if n > s.most {
		return nil, fmt.Errorf("Get: %w", paging.TooLarge{})
	}
	list := &unstructured.UnstructuredList{}
	for i := range n {
		var u unstructured.Unstructured
		u.SetName(fmt.Sprint("n-", from+i))
		list.Items = append(list.Items, u)
	}
	if from+n < s.has {
		list.SetContinue(strconv.Itoa(from + n))
	}
	return list, nil
}

// TestEach reads all objects whatever their size, and no more pages than are wanted.
func TestEach(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong")
	for name, c := range map[string]struct {
		has, most, stopAt int
		err               error
		read, requests    int
	}{
		"small":       {has: 6000, most: 10_000, read: 6000, requests: 3},
		"none":        {most: 1, requests: 1},
		"large":       {has: 1000, most: 50, read: 1000, requests: 2 + 26},
		"enough":      {has: 6000, most: 10_000, stopAt: 7, read: 7, requests: 1},
		"an error":    {has: 6000, most: 10_000, stopAt: 7, err: wrong, read: 7, requests: 1},
		"too large":   {has: 3, most: 0, err: paging.TooLarge{}, requests: 5},
		"one by one":  {has: 10, most: 1, read: 10, requests: 4 + 10},
		"of one page": {has: 2500, most: 2500, read: 2500, requests: 1},
	} {
		s := &shelf{has: c.has, most: c.most}
		n := 0
		err := Each(t.Context(), s, metav1.ListOptions{}, func(u *unstructured.Unstructured) (bool, error) {
			if u.GetName() != fmt.Sprint("n-", n) {
				t.Fatalf("%s: %s is object %d", name, u.GetName(), n)
			}
			n++
			if n == c.stopAt {
				return false, c.err
			}
			return true, nil
		})
		if !errors.Is(err, c.err) || n != c.read || len(s.asked) != c.requests {
			t.Errorf("%s: %d objects by %d requests %v: %v", name, n, len(s.asked), s.asked[max(0, len(s.asked)-5):], err)
		}
	}
}
