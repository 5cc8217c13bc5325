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
	storetest.Main(m)
}
