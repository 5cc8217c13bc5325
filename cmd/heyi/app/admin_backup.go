package app

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"heyi/configs"
	"heyi/store"
	"heyi/store/archive"
)

// lastBackup is the note in the data folder by which the running node knows when it was last saved.
const lastBackup = "last-backup.json"

// backupNote is what stands in it.
type backupNote struct {
	At   int64 `json:"at"` // of the snapshot, Unix microseconds
	Size int64 `json:"size"`
}

// standardStream is the FILE that means standard input or output.
const standardStream = "-"

// backup saves the database, and what is asked for of the data folder, while the node may be running.
func backup(ctx context.Context, cfg configs.Config, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("heyi admin backup", flag.ContinueOnError)
	with := flags.String("with", "", "comma-separated files or folders of the data folder to take along: texts, tls.pem, master.key")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	if flags.NArg() != 1 {
		return errors.New(adminUsage)
	}
	paths, err := takeAlong(cfg, *with)
	if err != nil {
		return err
	}
	file, done, err := backupFile(flags.Arg(0), out)
	if err != nil {
		return err
	}
	size := &counter{w: file}
	head, sums, err := store.Backup(ctx, storeConfig(cfg, newLogger(cfg)), size, store.BackupOptions{
		Version: Version, Node: cfg.Node.Name,
		Files: func(w *archive.Writer) error { return addFiles(w, cfg.Data, paths) },
	})
	if err := errors.Join(err, done(err == nil)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	note, err := json.Marshal(backupNote{At: head.At, Size: size.n})
	if err == nil {
		err = replaceFile(filepath.Join(cfg.Data, lastBackup), note)
	}
	logger := newLogger(cfg)
	if err != nil { // the backup is good; only the metric of its age is not
		logger.WarnContext(ctx, "the time of this backup is not noted", slog.Any("error", err))
	}
	if flags.Arg(0) == standardStream {
		logger.InfoContext(ctx, "backup", slog.Int64("rows", sums.Rows()), slog.Int64("bytes", size.n), slog.Int("files", len(sums.Files)))
		return nil
	}
	_, err = fmt.Fprintf(out, "%s: %d rows of %d tables, %d files, %d bytes\n%s\n", flags.Arg(0), sums.Rows(), len(sums.Tables), len(sums.Files), size.n, keyAdvice(sums))
	return err //nolint:wrapcheck // nothing to add
}

// keyAdvice says where the master key is.
func keyAdvice(m archive.Manifest) string {
	for _, f := range m.Files {
		if f.Path == masterKeyFile {
			return "master.key is in it: who has this file can read everything. Keep it as you keep the key."
		}
	}
	return "The master key is not in it. Keep HEYI_MASTER_KEY (or master.key) elsewhere: without it nothing sealed can be read again."
}

// takeAlong lists the files that -with names, relative to the data folder.
func takeAlong(cfg configs.Config, with string) ([]string, error) {
	var list []string
	for name := range strings.SplitSeq(with, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !filepath.IsLocal(name) || strings.HasPrefix(name, "heyi.db") || name == "lock" {
			return nil, fmt.Errorf("-with %s: want files or folders in %s beside the database, which is in the backup anyway", name, cfg.Data)
		}
		err := filepath.WalkDir(filepath.Join(cfg.Data, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if !d.Type().IsRegular() {
				return fmt.Errorf("%s is no plain file", path)
			}
			rel, err := filepath.Rel(cfg.Data, path)
			list = append(list, rel)
			return err //nolint:wrapcheck // cannot happen: path lies below
		})
		if err != nil {
			return nil, fmt.Errorf("-with %s: %w", name, err)
		}
	}
	return list, nil
}

func addFiles(w *archive.Writer, dir string, paths []string) error {
	for _, path := range paths {
		f, err := os.Open(filepath.Join(dir, path)) //nolint:gosec // the operator's own folder
		if err != nil {
			return err //nolint:wrapcheck // names the file
		}
		info, err := f.Stat()
		if err == nil {
			err = w.File(filepath.ToSlash(path), info.Size(), f) // what is appended meanwhile is not in it
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// backupFile opens where a backup goes. A file gets its name when done is told that it is whole.
func backupFile(path string, out io.Writer) (w io.Writer, done func(whole bool) error, err error) {
	if path == standardStream {
		return out, func(bool) error { return nil }, nil
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s exists already: name a new file", path)
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // named by the operator
	if err != nil {
		return nil, nil, fmt.Errorf("backup: %w", err)
	}
	return f, func(whole bool) error {
		var err error
		if whole {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil || !whole {
			return errors.Join(err, os.Remove(part))
		}
		return errors.Join(os.Rename(part, path), syncFolder(filepath.Dir(path)))
	}, nil
}

// replaceFile writes a small file whole or not at all.
func replaceFile(path string, text []byte) error {
	if err := os.WriteFile(path+".part", append(text, '\n'), 0o600); err != nil {
		return err //nolint:wrapcheck // names the file
	}
	return os.Rename(path+".part", path) //nolint:wrapcheck // names the file
}

func syncFolder(path string) error {
	d, err := os.Open(path) //nolint:gosec // named by the operator
	if err != nil {
		return err //nolint:wrapcheck // names the folder
	}
	return errors.Join(d.Sync(), d.Close())
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err //nolint:wrapcheck // it is the writer's own
}

// restore fills an empty database from a backup, or with -check only reads it.
func restore(ctx context.Context, cfg configs.Config, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("heyi admin restore", flag.ContinueOnError)
	check := flags.Bool("check", false, "only read the file and check every byte of it")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	if flags.NArg() != 1 {
		return errors.New(adminUsage)
	}
	var r io.Reader = os.Stdin
	if path := flags.Arg(0); path != standardStream {
		f, err := os.Open(path) //nolint:gosec // named by the operator
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		defer func() { _ = f.Close() }() // only read
		r = f
	}
	if *check {
		head, sums, err := archive.Check(r)
		if err != nil {
			return err //nolint:wrapcheck // says what is wrong
		}
		_, err = fmt.Fprintf(out, "whole: %s\n", saved(head, sums))
		return err //nolint:wrapcheck // nothing to add
	}
	unlock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	return restoreInto(ctx, cfg, r, out)
}

func restoreInto(ctx context.Context, cfg configs.Config, r io.Reader, out io.Writer) error {
	if cfg.Store.Driver != store.SQLite {
		if _, err := masterKey(cfg.Data, cfg.Store.Driver); err != nil {
			return err // before hours of loading, not after
		}
	}
	files := &restoredFiles{dir: cfg.Data}
	got, err := store.Restore(ctx, storeConfig(cfg, newLogger(cfg)), r, store.RestoreOptions{
		File: files.take,
		MasterKey: func() ([]byte, error) {
			return knownMasterKey(filepath.Join(cfg.Data, masterKeyFile), files.part(masterKeyFile))
		},
	})
	if err != nil {
		return errors.Join(err, files.drop())
	}
	if err := files.keep(); err != nil {
		return fmt.Errorf("the database is restored, but not all files: %w", err)
	}
	if err := migrate(ctx, cfg); err != nil {
		return fmt.Errorf("the database is restored, but its schema is not brought up to date: %w", err)
	}
	_, err = fmt.Fprintf(out, "restored: %s\n%d chains of events verified\n", saved(got.Head, got.Manifest), got.Chains)
	if len(got.Broken) > 0 {
		_, werr := fmt.Fprintf(out, "WARNING: %d chains of events do not hold, and did not when the backup was made: %s\n", len(got.Broken), strings.Join(got.Broken, ", "))
		err = errors.Join(err, werr)
	}
	if got.Head.Node != cfg.Node.Name {
		_, werr := fmt.Fprintf(out, "note: it was the node %q, this one is %q; set node.name to the old name if this node takes its place\n", got.Head.Node, cfg.Node.Name)
		err = errors.Join(err, werr)
	}
	return err
}

func saved(h archive.Head, m archive.Manifest) string {
	return fmt.Sprintf("%d rows of %d tables and %d files, saved on %s by Heyi %s from %s, node %s",
		m.Rows(), len(m.Tables), len(m.Files), time.UnixMicro(h.At).Format(time.RFC3339), h.Version, h.Engine, h.Node)
}

// restoredFiles puts files of a backup beside their places until the database is restored.
type restoredFiles struct {
	dir   string
	paths []string
}

const restoring = ".restoring"

func (f *restoredFiles) part(path string) string {
	return filepath.Join(f.dir, filepath.FromSlash(path)) + restoring
}

func (f *restoredFiles) take(path string, r io.Reader) error {
	to := filepath.Join(f.dir, filepath.FromSlash(path))
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already: move it away, the backup brings one", to)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err //nolint:wrapcheck // names the folder
	}
	w, err := os.OpenFile(f.part(path), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	f.paths = append(f.paths, path)
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Sync(), w.Close())
}

func (f *restoredFiles) keep() error {
	var errs []error
	for _, path := range f.paths {
		errs = append(errs, os.Rename(f.part(path), filepath.Join(f.dir, filepath.FromSlash(path))))
	}
	return errors.Join(errs...)
}

func (f *restoredFiles) drop() error {
	var errs []error
	for _, path := range f.paths {
		errs = append(errs, os.Remove(f.part(path)))
	}
	return errors.Join(errs...)
}
