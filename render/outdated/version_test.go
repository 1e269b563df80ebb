package outdated

import "testing"

func TestNewest(t *testing.T) {
	tests := []struct {
		is, want string
		tags     []string
	}{
		{"v3.7.11", "v3.7.13", []string{"v3.7.9", "v3.7.13", "v3.7.12", "latest", "v3", "v3.8", "3.8.0"}},
		{"v3.7.13", "v3.7.13", []string{"v3.8.0-rc.1", "v3.8.0-ea.1", "v4.0.0-alpine", "v3.7.13"}},
		{"2.568.2-jdk21", "2.580.3-jdk21", []string{"2.580.3-jdk25", "2.580.3-jdk21", "2.580.3", "2.600-jdk21"}},
		{"v3.8.0-rc.1", "v3.8.0", []string{"v3.8.0-rc.2", "v3.8.0", "v3.7.99"}},
		{"v0.28.9", "v0.28.10", []string{"v0.28.10", "v0.28.9"}},
		{"1.27", "1.31", []string{"1.31", "1.31.4", "1.30"}},
		{"v1.0.0", "v1.0.0", []string{"v99999999999999999999.0.0", "v1.0.0\x1b[2J", "v2.0.0/../..", "v2..0", ""}},
	}
	for _, tt := range tests {
		is, ok := parse(tt.is)
		if !ok {
			t.Fatalf("%s cannot be compared", tt.is)
		}
		if got := is.newest(tt.tags); got.tag != tt.want {
			t.Errorf("of %s the newest is %s, want %s", tt.is, got.tag, tt.want)
		}
	}
	for _, tag := range []string{"", "latest", "master_190117_1920", "20260101", "3385.vf1123fb_515da_-1", "v1.2.3.4"} {
		if _, ok := parse(tag); ok {
			t.Errorf("%q can be compared", tag)
		}
	}
}

func TestTable(t *testing.T) {
	table := known()
	if table.date == "" || len(table.images) < 20 || len(table.stacks) < 10 {
		t.Fatalf("the table has %d images, %d stacks, of %q", len(table.images), len(table.stacks), table.date)
	}
	for stack, image := range table.stacks {
		if table.images[image].tag == "" {
			t.Errorf("stack %s: the table does not have its image %s", stack, image)
		}
	}
	tests := []struct {
		name, tag, newest string
		status            Status
	}{
		{"docker.io/jenkins/jenkins", "2.568.2-jdk21", "2.580.3-jdk21", Outdated},
		{"docker.io/jenkins/jenkins", "2.580.3-jdk21", "2.580.3-jdk21", Current},
		{"docker.io/jenkins/jenkins", "2.600.1-jdk21", "2.600.1-jdk21", Current},
		{"docker.io/jenkins/jenkins", "2.568.2-jdk25", "", Unknown},
		{"docker.io/jenkins/jenkins", "lts", "", Unknown},
		{"ghcr.io/flannel-io/flannel-cni-plugin", "v1.9.1-flannel1", "v1.9.1-flannel3", Outdated},
		{"ghcr.io/flannel-io/flannel-cni-plugin", "v1.9.1-flannel4", "v1.9.1-flannel4", Current},
		{"harbor.od.com/app/shop", "v1.0.0", "", Unknown},
	}
	for _, tt := range tests {
		i := Item{Kind: KindImage, Name: tt.name, Version: tt.tag}
		table.compare(&i)
		if i.Status != tt.status || i.Newest != tt.newest || (i.Status == Unknown) != (i.Why != "") {
			t.Errorf("%s:%s is %s, newest %q, because %q; want %s, %q", tt.name, tt.tag, i.Status, i.Newest, i.Why, tt.status, tt.newest)
		}
	}
}

func TestSplit(t *testing.T) {
	for image, want := range map[string][2]string{
		"traefik:v3":                      {"docker.io/library/traefik", "v3"},
		"jenkins/jenkins":                 {"docker.io/jenkins/jenkins", ""},
		"localhost:5000/a/b:1.0@sha256:0": {"localhost:5000/a/b", "1.0"},
		"localhost:5000/a/b":              {"localhost:5000/a/b", ""},
		"registry.k8s.io/pause:3.10":      {"registry.k8s.io/pause", "3.10"},
	} {
		if name, tag := split(image); name != want[0] || tag != want[1] {
			t.Errorf("%s is %s and %s, want %s", image, name, tag, want)
		}
	}
}
