package app

import (
	"context"
	"path"
	"time"

	"heyi/gateway/rest"
	"heyi/internal/sign"
	"heyi/mediation/proof"
)

// The codes of findings that only the place that issued a paper can have.
const (
	codeArchive   = "archive"   // the file against what is kept here
	codeEffective = "effective" // the agreement of a QR code
)

// verify checks papers with the keys of this installation. Unlike `heyi verify`, which knows nothing but the files, it
// can tell of a single paper whether it is the one that was issued here.
func (n *node) verify(ctx context.Context, files []rest.VerifyFile, digest string) (bool, []rest.Finding, error) {
	keys, err := n.store.SealKeys(ctx)
	if err != nil {
		return false, nil, err //nolint:wrapcheck // a fault keeps its code
	}
	brought, bodies := make([]proof.File, len(files)), map[string][]byte{}
	for i, f := range files {
		brought[i] = proof.File{Name: f.Name, Body: f.Body}
		bodies[path.Base(f.Name)] = f.Body
	}
	var list []rest.Finding
	single := len(files) == 0
	if !single {
		for _, f := range proof.Check(brought, &keys, digest).Findings {
			if body, here := bodies[f.File]; here && f.Code == proof.CodeNoManifest {
				single = true
				if f, err = n.archived(ctx, f, body); err != nil {
					return false, nil, err
				}
			}
			list = append(list, rest.Finding(f))
		}
	}
	if single && digest != "" { // a package says for itself whether it holds the agreement of the QR code
		f, err := n.effective(ctx, digest)
		if err != nil {
			return false, nil, err
		}
		list = append(list, f)
	}
	ok := len(list) > 0
	for _, f := range list {
		ok = ok && f.OK
	}
	return ok, list, nil
}

// publishedKeys is the list of seal keys with the names of their units.
func (n *node) publishedKeys(ctx context.Context) (sign.KeyList, error) {
	list, err := n.store.SealKeys(ctx)
	for i, k := range list.Keys {
		if u, ok := n.tree.ByCode(k.Unit); ok {
			list.Keys[i].Name = u.Name
		}
	}
	return list, err //nolint:wrapcheck // a fault keeps its code
}

// archived judges a paper that came alone.
func (n *node) archived(ctx context.Context, f proof.Finding, body []byte) (proof.Finding, error) {
	known, err := n.store.Issued(ctx, sign.SHA256(body))
	switch {
	case err != nil:
		return f, err //nolint:wrapcheck // a fault keeps its code
	case known:
		f.OK, f.Code, f.Text = true, codeArchive, "和本平台存档的这一份一致，一个字节都没有改"
	default:
		f.Code, f.Text = codeArchive, "本平台的调解卷宗里没有这样的文件，或者它被改动过。手上有整个移交包（.tar）的，请把移交包放进来再核对"
	}
	return f, nil
}

// effective tells of the agreement of a QR code.
func (n *node) effective(ctx context.Context, digest string) (rest.Finding, error) {
	at, err := n.store.EffectiveAgreement(ctx, digest)
	f := rest.Finding{Code: codeEffective, OK: err == nil && at > 0, Text: "二维码上的协议书不是在本平台生效的，不要采用"}
	if f.OK {
		f.Text = "二维码上的协议书是在本平台签署的，" + time.UnixMicro(at).In(n.tz).Format("2006年1月2日") + "生效"
	}
	return f, err //nolint:wrapcheck // a fault keeps its code
}
