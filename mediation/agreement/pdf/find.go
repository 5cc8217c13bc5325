package pdf

import (
	"fmt"
	"os"
	"path/filepath"
)

// Find fills in the fonts that lie beside the program, in fonts/: Noto Sans SC (SIL Open Font License) as make puts it
// there. dir is the program's folder. What is configured stays.
func Find(cfg Config, dir string) (Config, error) {
	if len(cfg.Regular) > 0 {
		return cfg, nil
	}
	found := Config{Regular: []string{filepath.Join(dir, "fonts", "NotoSansSC-Regular.ttf")}, Bold: filepath.Join(dir, "fonts", "NotoSansSC-Bold.ttf")}
	if cfg.Bold != "" {
		found.Bold = cfg.Bold
	}
	for _, path := range append([]string{found.Bold}, found.Regular...) {
		if _, err := os.Stat(path); err != nil {
			return Config{}, fmt.Errorf("papers need a Chinese font: put NotoSansSC-Regular.ttf and NotoSansSC-Bold.ttf into %s (make fonts), or name fonts in pdf.fonts: %w",
				filepath.Join(dir, "fonts"), err)
		}
	}
	return found, nil
}
