// Package pdftest gives tests the renderer of papers with the fonts that make puts into build/fonts.
package pdftest

import (
	"os"
	"path/filepath"
	"testing"

	"heyi/mediation/agreement/pdf"
)

// Fonts returns the fonts of this checkout; the test fails when `make fonts` never ran.
func Fonts(tb testing.TB) pdf.Config {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("the test does not run inside the checkout")
		}
		dir = filepath.Dir(dir)
	}
	cfg, err := pdf.Find(pdf.Config{}, filepath.Join(dir, "build"))
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

// Renderer returns a renderer with the fonts of this checkout.
func Renderer(tb testing.TB) *pdf.Renderer {
	tb.Helper()
	r, err := pdf.New(Fonts(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
