package rest

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/goccy/go-yaml"
)

//go:embed openapi/*.yaml
var openapiFiles embed.FS

// mergedSpec joins openapi/*.yaml into one document: openapi/base.yaml is the frame, every other file adds paths and
// components. Two files that define the same operation or component are a defect.
func mergedSpec() ([]byte, error) {
	names, err := fs.Glob(openapiFiles, "openapi/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("rest: openapi: %w", err)
	}
	doc := map[string]any{}
	for _, name := range names {
		src, err := openapiFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("rest: openapi: %w", err)
		}
		part := map[string]any{}
		if err := yaml.Unmarshal(src, &part); err != nil {
			return nil, fmt.Errorf("rest: %s: %w", name, err)
		}
		if err := merge(doc, part, name); err != nil {
			return nil, err
		}
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("rest: openapi: %w", err)
	}
	return out, nil
}

func merge(into, part map[string]any, where string) error {
	for k, v := range part {
		old, there := into[k]
		if !there {
			into[k] = v
			continue
		}
		a, ok1 := old.(map[string]any)
		b, ok2 := v.(map[string]any)
		if !ok1 || !ok2 {
			return fmt.Errorf("rest: %s: %s is defined twice", where, k)
		}
		if err := merge(a, b, where+": "+k); err != nil {
			return err
		}
	}
	return nil
}
