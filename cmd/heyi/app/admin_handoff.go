package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"heyi/internal/ident"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/handoff"
)

// retryHandoffs queues packages anew that were given up.
func (p *parts) retryHandoffs(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("heyi admin handoff retry", flag.ContinueOnError)
	dead := fs.Bool("all-dead", false, "every package that was given up")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	cmd := mediation.Command{Name: "handoff.retried", Actor: adminActor(), At: p.now().UnixMicro()}
	switch {
	case *dead && fs.NArg() == 0:
		n, err := p.store.RetryDeadHandoffs(ctx, cmd)
		if err != nil {
			return fmt.Errorf("retry: %w", err)
		}
		_, err = fmt.Fprintf(out, "%d packages are queued again\n", n)
		return err //nolint:wrapcheck // nothing to add
	case !*dead && fs.NArg() == 1:
		r, err := p.store.RetryHandoff(ctx, cmd, "", ident.HandoffID(fs.Arg(0)))
		if err != nil {
			return fmt.Errorf("retry %s: %w", fs.Arg(0), err)
		}
		_, err = fmt.Fprintf(out, "%s is %s\n", r.ID, r.State)
		return err //nolint:wrapcheck // nothing to add
	}
	return errors.New(adminUsage)
}

// listHandoffs prints the packages that have not arrived, newest first.
func (p *parts) listHandoffs(ctx context.Context, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, err := fmt.Fprintln(w, "ID\tKIND\tSUBJECT\tVERSION\tSTATE\tATTEMPTS\tLAST ERROR\tTARGET")
	office := handoff.Office{Store: p.store, Now: p.now}
	for _, root := range p.roots() {
		for _, state := range []handoff.State{handoff.Dead, handoff.Failed, handoff.Sending, handoff.Queued} {
			for cursor, more := "", true; more; more = cursor != "" {
				page, lerr := office.List(ctx, root, state, cursor, 0)
				if lerr != nil {
					return fmt.Errorf("list: %w", lerr)
				}
				for _, r := range page.Rows {
					_, perr := fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\t%s\t%s\n", r.ID, r.Kind, r.Subject, r.Version, r.State, r.Attempts, r.LastError, r.Target)
					err = errors.Join(err, perr)
				}
				cursor = page.Next
			}
		}
	}
	return errors.Join(err, w.Flush())
}

// roots are the units without a parent.
func (p *parts) roots() []ident.UnitID {
	var list []ident.UnitID
	for _, u := range p.tree.Roots() {
		list = append(list, u.ID)
	}
	return list
}

// handoffKey prints the line by which another installation's case store knows this one (cases.senders).
func (p *parts) handoffKey(ctx context.Context, out io.Writer) error {
	k, err := p.sender(ctx)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	name := p.cfg.Node.Name
	if roots := p.tree.Roots(); len(roots) > 0 {
		name = roots[0].Name
	}
	_, err = fmt.Fprintf(out, "cases:\n  senders:\n    - {name: %q, kid: %s, alg: %s, pub: %s}\n# fingerprint, to compare by telephone: %s\n", name, k.KID, k.Alg, sign.Text(k.Public), sign.Fingerprint(k.Public))
	return err //nolint:wrapcheck // nothing to add
}
