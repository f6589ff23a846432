package deploy

import (
	"bytes"
	"context"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	digest "github.com/opencontainers/go-digest"
)

// strict is the line of a Dockerfile by which each rule's warning fails a build.
const strict = "# check=error=true"

// lint is `docker build --check`: what BuildKit's rules say of a Dockerfile, for all its targets. (Not
// those that are experimental, which want comments in a form of their own.) No base image is asked for.
func lint(t *testing.T, name string, text []byte) (found []string) {
	t.Helper()
	source := llb.NewSourceMap(nil, name, "dockerfile", text)
	source.Definition = &llb.Definition{}
	options := dockerfile2llb.ConvertOpt{
		SourceMap:    source,
		MetaResolver: nobody{},
	}
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text, options)
	if err != nil {
		t.Fatal(err)
	}
	if results.Error != nil {
		found = append(found, results.Error.Message)
	}
	for _, warning := range results.Warnings {
		found = append(found, warning.RuleName+": "+warning.Detail)
	}
	return found
}

// nobody knows no image's configuration.
type nobody struct{}

func (nobody) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte("{}"), nil
}

func TestDockerfile(t *testing.T) {
	const path = "deploy/Dockerfile"
	text := read(t, path)
	for _, problem := range lint(t, path, text) {
		t.Errorf("%s: %s", path, problem)
	}
	if !bytes.Contains(text, []byte("\n"+strict+"\n")) {
		t.Errorf("%s does not say %s", path, strict)
	}
	// The rules are on: a target whose name is written in capitals is one that BuildKit warns of, and
	// an instruction that there is not fails.
	for _, broken := range []string{"\nFROM scratch AS Capitals\n", "\nFRM scratch\n", "\nCMD run\n"} {
		if len(lint(t, path, append(bytes.Clone(text), broken...))) == 0 {
			t.Errorf("%q is not noticed", broken)
		}
	}
}
