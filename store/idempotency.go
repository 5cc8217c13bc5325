package store

import "heyi/internal/fault"

// remember notes that actor carries out a command under an idempotency key. first is true when the command has to be
// done; otherwise answer is what it answered then. The same key with another command is fault.Conflict
// "idempotency.key_reused". A command that is then refused is forgotten with its transaction. at is Unix microseconds.
func (t *tx) remember(actor, key, command string, at int64) (first bool, answer string, err error) {
	n, err := t.exec(`INSERT INTO idempotency (actor, key, command, answer, at) VALUES ($1, $2, $3, '', $4) ON CONFLICT (actor, key) DO NOTHING`,
		actor, key, command, at)
	if err != nil || n == 1 {
		return n == 1, "", err
	}
	var was string
	if err := t.one(`SELECT command, answer FROM idempotency WHERE actor = $1 AND key = $2`, []any{actor, key}, &was, &answer); err != nil {
		return false, "", err
	}
	if was != command {
		return false, "", fault.New(fault.Conflict, "idempotency.key_reused")
	}
	return false, answer, nil
}

// answer keeps what a remembered command answers.
func (t *tx) answer(actor, key, answer string) error {
	_, err := t.exec(`UPDATE idempotency SET answer = $3 WHERE actor = $1 AND key = $2`, actor, key, answer)
	return err
}
