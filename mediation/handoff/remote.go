package handoff

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"heyi/internal/fault"
	"heyi/mediation/parcel"
)

// Remote is the case store of another installation, asked over HTTPS.
type Remote struct {
	Address string // https://host[:port]
	Client  *http.Client
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// Put implements CaseStore. A refusal keeps the receiver's code when it is one of ours to know.
//
// Errors: as CaseStore.
func (r *Remote) Put(ctx context.Context, q parcel.Request) (parcel.Receipt, error) {
	var receipt parcel.Receipt
	h, err := http.NewRequestWithContext(ctx, q.Method, strings.TrimSuffix(r.Address, "/")+q.Path, bytes.NewReader(q.Body))
	if err != nil {
		return receipt, err
	}
	h.Header.Set("Content-Type", "application/x-tar")
	h.Header.Set(parcel.HeaderSender, q.Sender)
	h.Header.Set(parcel.HeaderAt, strconv.FormatInt(q.At, 10))
	h.Header.Set(parcel.HeaderSignature, q.Signature)
	res, err := r.Client.Do(h)
	if err != nil {
		return receipt, fault.Wrap(fault.Unavailable, "handoff.unreachable", err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	_ = res.Body.Close() // it was read as far as it is wanted
	if err != nil {
		return receipt, fault.Wrap(fault.Unavailable, "handoff.unreachable", err)
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated {
		if err := json.Unmarshal(body, &receipt); err != nil {
			return parcel.Receipt{}, fault.Wrap(fault.Unavailable, "handoff.bad_answer", err)
		}
		return receipt, nil
	}
	return receipt, refusal(res.StatusCode, body)
}

// refusal turns an answer that is no receipt into a fault. What a stranger's server writes is not believed: an unknown
// code becomes the status.
func refusal(status int, body []byte) error {
	var p struct {
		Code  string `json:"code"`
		Field string `json:"field"`
	}
	_ = json.Unmarshal(body, &p) // an answer without a problem has no code
	switch p.Code {
	case "handoff.digest_conflict":
		return fault.New(fault.Conflict, p.Code)
	case "handoff.bad_package", "handoff.unknown_unit":
		return fault.New(fault.Invalid, p.Code)
	case "handoff.unknown_sender", "handoff.bad_signature", "handoff.clock":
		return fault.New(fault.Unauthenticated, p.Code)
	case "handoff.other_sender":
		return fault.New(fault.Forbidden, p.Code)
	}
	if status == http.StatusConflict {
		return fault.New(fault.Conflict, "handoff.digest_conflict")
	}
	return fault.New(fault.Unavailable, "handoff.refused").WithRef(strconv.Itoa(status))
}
