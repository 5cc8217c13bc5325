package store_test

import (
	"os"
	"testing"

	"heyi/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	if text := os.Getenv(restoreEnv); text != "" {
		os.Exit(restoreChild(text))
	}
	if text := os.Getenv(chaosEnv); text != "" {
		os.Exit(chaosMain(text))
	}
	storetest.Main(m)
}
