package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// The places of an image layout, and of what is in it: https://github.com/opencontainers/image-spec
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	indexType    = "application/vnd.oci.image.index.v1+json"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    map[string]string `json:"platform,omitempty"`
}

// writeImages writes a layout of two images with one uncompressed layer in common.
func writeImages(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: toolbox image FILE PAUSE TOOLBOX")
	}
	layer, err := ownLayer()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	layout := layout{tar.NewWriter(&out)}
	content := layout.blob(layerType, layer)
	images := []descriptor{
		layout.image(args[1], content, map[string]any{"User": "65535:65535", "Entrypoint": []string{"/bin/pause"}}),
		layout.image(args[2], content, map[string]any{"Cmd": []string{"/bin/serve"}}),
	}
	layout.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	layout.file("index.json", marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": images}))
	if err := layout.Close(); err != nil {
		return err
	}
	return os.WriteFile(args[0], out.Bytes(), 0o644)
}

// ownLayer is this binary in /bin under each tool's name, and the few files that programs expect.
func ownLayer() ([]byte, error) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	add := func(header tar.Header, content []byte) {
		header.Size = int64(len(content))
		// Into a buffer, headers of our own making: no error is possible.
		must(writer.WriteHeader(&header))
		_, err := writer.Write(content)
		must(err)
	}
	for _, dir := range []string{"bin/", "etc/", "tmp/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}, nil)
	}
	add(tar.Header{Name: "bin/toolbox", Mode: 0o755}, self)
	for _, name := range toolNames() {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "toolbox", Mode: 0o777}, nil)
	}
	add(tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0::/:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n"))
	add(tar.Header{Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\nnonroot:x:65532:\n"))
	return out.Bytes(), writer.Close()
}

type layout struct{ *tar.Writer }

func (l layout) file(name string, content []byte) {
	must(l.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
	_, err := l.Write(content)
	must(err)
}

func (l layout) blob(mediaType string, content []byte) descriptor {
	digest := fmt.Sprintf("%x", sha256.Sum256(content))
	l.file("blobs/sha256/"+digest, content)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + digest, Size: len(content)}
}

func (l layout) image(reference string, layer descriptor, config map[string]any) descriptor {
	config["Env"] = []string{"PATH=/bin"}
	config["WorkingDir"] = "/"
	platform := map[string]string{"architecture": runtime.GOARCH, "os": "linux"}
	image := l.blob(manifestType, marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config": l.blob(configType, marshal(map[string]any{
			"architecture": runtime.GOARCH,
			"os":           "linux",
			"config":       config,
			"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{layer.Digest}},
		})),
		"layers": []descriptor{layer},
	}))
	image.Annotations = map[string]string{"io.containerd.image.name": reference}
	image.Platform = platform
	return image
}

func marshal(value any) []byte {
	text, err := json.Marshal(value)
	must(err)
	return text
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
