package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// imageTar collects the one layer of an image.
type imageTar struct {
	layer bytes.Buffer
	tar   *tar.Writer
	made  map[string]bool
	err   error
}

func newImageTar() *imageTar {
	b := &imageTar{made: map[string]bool{".": true, "/": true}}
	b.tar = tar.NewWriter(&b.layer)
	for _, dir := range []string{"/tmp", "/etc", "/proc", "/sys", "/dev", "/run"} {
		b.dir(dir)
	}
	b.data("/etc/passwd", []byte("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"), 0o644, false)
	b.data("/etc/group", []byte("root:x:0:\nnobody:x:65534:\n"), 0o644, false)
	b.data("/etc/nsswitch.conf", []byte("hosts: files dns\n"), 0o644, false)
	return b
}

func (b *imageTar) header(h *tar.Header) {
	h.Name = strings.TrimPrefix(h.Name, "/")
	b.err = errors.Join(b.err, b.tar.WriteHeader(h))
}

func (b *imageTar) dir(name string) {
	if b.made[name] {
		return
	}
	b.made[name] = true
	b.dir(path.Dir(name))
	mode := int64(0o755)
	if name == "/tmp" {
		mode = 0o1777
	}
	b.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
}

// bindLow is the file capability cap_net_bind_service=ep, as setcap writes it.
const bindLow = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func (b *imageTar) data(name string, data []byte, mode int64, low bool) {
	b.dir(path.Dir(name))
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}
	if low {
		h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"SCHILY.xattr.security.capability": bindLow}
	}
	b.header(h)
	_, err := b.tar.Write(data)
	b.err = errors.Join(b.err, err)
}

func (b *imageTar) file(name, from string, low bool) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	b.data(name, data, int64(info.Mode().Perm()|0o444), low)
	return b.err
}

func (b *imageTar) link(name, target string) {
	b.dir(path.Dir(name))
	b.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

// write writes an OCI image layout as a tar, which ctr imports.
func (b *imageTar) write(file string, image image) error {
	if err := errors.Join(b.err, b.tar.Close()); err != nil {
		return err
	}
	type object = map[string]any
	blobs := map[string][]byte{}
	put := func(data []byte, mediaType string) object {
		digest := fmt.Sprintf("%x", sha256.Sum256(data))
		blobs["blobs/sha256/"+digest] = data
		return object{"mediaType": mediaType, "digest": "sha256:" + digest, "size": len(data)}
	}
	encode := func(v any) []byte {
		data, err := json.Marshal(v)
		b.err = errors.Join(b.err, err)
		return data
	}
	layer := put(b.layer.Bytes(), "application/vnd.oci.image.layer.v1.tar")
	config := put(encode(object{
		"architecture": arch(), "os": "linux", "created": "2026-01-01T00:00:00Z",
		"config": object{"Entrypoint": image.entry, "User": image.user, "Env": append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, image.env...)},
		"rootfs": object{"type": "layers", "diff_ids": []any{layer["digest"]}},
	}), "application/vnd.oci.image.config.v1+json")
	manifest := encode(object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []any{layer}})
	var manifests []object
	for _, name := range image.names {
		m := put(manifest, "application/vnd.oci.image.manifest.v1+json")
		m["annotations"] = map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name[strings.LastIndex(name, ":")+1:]}
		m["platform"] = map[string]string{"architecture": arch(), "os": "linux"}
		manifests = append(manifests, m)
	}
	blobs["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	blobs["index.json"] = encode(object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})

	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range sortedKeys(blobs) {
		b.err = errors.Join(b.err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(blobs[name]))}))
		_, err := w.Write(blobs[name])
		b.err = errors.Join(b.err, err)
	}
	if err := errors.Join(b.err, w.Close()); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
