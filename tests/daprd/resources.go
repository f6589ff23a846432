// Reads Component files with daprd's own loader, for a test that compares.
//
// Standard input holds a JSON list of files' texts. For each, standard output gets a JSON list of
// the Components that daprd loads, on a line of its own.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dapr/dapr/pkg/internal/loader/disk"
)

type component struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Items []item `json:"items"`
}

type item struct {
	Name string `json:"name"`
	// Value is absent where daprd sees none.
	Value    *string `json:"value"`
	Secret   string  `json:"secret"`
	Variable string  `json:"variable"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "resources")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	out := json.NewEncoder(os.Stdout)
	for _, text := range texts {
		if err := os.WriteFile(filepath.Join(folder, "c.yaml"), []byte(text), 0o600); err != nil {
			return err
		}
		loaded, err := disk.NewComponents(disk.Options{AppID: "orders", Paths: []string{folder}}).Load(context.Background())
		if err != nil {
			return err
		}
		components := []component{}
		for _, one := range loaded {
			read := component{Name: one.Name, Type: one.Spec.Type, Items: []item{}}
			for _, pair := range one.Spec.Metadata {
				next := item{Name: pair.Name, Secret: pair.SecretKeyRef.Name, Variable: pair.EnvRef}
				if pair.HasValue() {
					value := pair.Value.String()
					next.Value = &value
				}
				read.Items = append(read.Items, next)
			}
			components = append(components, read)
		}
		if err := out.Encode(components); err != nil {
			return err
		}
	}
	return nil
}
