// Package deploy tests the manifests of deploy/ without a cluster.
package deploy

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// root is the repository's folder, seen from this one.
const root = "../.."

// ways are the three ways to run beside daprd: folders of deploy/sidecar and deploy/todo.
var ways = []string{"native", "container", "injector"}

// brokers are the Components to choose from: files of deploy/components.
var brokers = []string{"redpanda", "plaintext", "strimzi"}

// files returns the repository's files below the folders that end in one of the suffixes, by
// their path from the root.
func files(t *testing.T, folders []string, suffixes ...string) []string {
	t.Helper()
	var found []string
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			for _, suffix := range suffixes {
				if strings.HasSuffix(file, suffix) {
					found = append(found, strings.TrimPrefix(filepath.ToSlash(file), root+"/"))
					break
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) == 0 {
		t.Fatalf("nothing that ends in %v is in %v", suffixes, folders)
	}
	return found
}

// read returns a file of the repository.
func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// copied is deploy/ in memory, to be changed before it is built.
func copied(t *testing.T) filesys.FileSystem {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	for _, path := range files(t, []string{"deploy"}, ".yaml", ".json") {
		write(t, memory, path, string(read(t, path)))
	}
	return memory
}

// write puts a file into a file system.
func write(t *testing.T, into filesys.FileSystem, path, content string) {
	t.Helper()
	if err := into.WriteFile("/"+path, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// build is `kubectl kustomize`.
func build(t *testing.T, from filesys.FileSystem, folder string) resmap.ResMap {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	// As kubectl has it: the kustomization.yaml decides.
	options.Reorder = krusty.ReorderOptionUnspecified
	built, err := krusty.MakeKustomizer(options).Run(from, "/"+folder)
	if err != nil {
		t.Fatalf("kustomize build %s: %v", folder, err)
	}
	return built
}

// todo builds one of deploy/todo's overlays with one of the Components.
func todo(t *testing.T, from filesys.FileSystem, way, broker string) resmap.ResMap {
	t.Helper()
	chooses := "deploy/components/kustomization.yaml"
	text := string(read(t, chooses))
	if !strings.Contains(text, "\n- redpanda.yaml\n") {
		t.Fatalf("%s lists no redpanda.yaml, which README.md says to replace", chooses)
	}
	write(t, from, chooses, strings.Replace(text, "- redpanda.yaml", "- "+broker+".yaml", 1))
	return build(t, from, "deploy/todo/"+way)
}

// leads says what is wrong with a link of a page; what is not said leads there.
func leads(page, to, section string) string {
	target := path.Join(path.Dir(page), to)
	if to == "" {
		target = page
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		return "there is no " + target
	}
	if section == "" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(root, target))
	if err != nil || !hasSection(string(text), section) {
		return "there is no section " + section + " in " + target
	}
	return ""
}
