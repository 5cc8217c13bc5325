package app

import (
	"fmt"
	"os"
	"path/filepath"

	"heyi/configs"
	"heyi/mediation/agreement/pdf"
)

// papers returns the renderer of every PDF of the product. Its fonts are those of the configuration, else those that
// lie beside the program.
func papers(cfg configs.PDF) (*pdf.Renderer, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("fonts: %w", err)
	}
	if target, err := filepath.EvalSymlinks(program); err == nil {
		program = target
	}
	fonts, err := pdf.Find(pdf.Config{Regular: cfg.Fonts, Bold: cfg.Bold}, filepath.Dir(program))
	if err != nil {
		return nil, err //nolint:wrapcheck // says what to do
	}
	return pdf.New(fonts) //nolint:wrapcheck // names the font
}
