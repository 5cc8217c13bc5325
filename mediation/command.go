package mediation

// Command is who asks for a change, under which name and key, and when. A store writes it into the events of the
// change; a repeat of the same key by the same actor changes nothing.
type Command struct {
	Name  string // "ticket.create", part of the event's type
	Actor Actor
	Key   string // idempotency key made by the client; empty when the state itself tells a repeat
	At    int64  // Unix microseconds
	Cause string // request or timer that led here, may be empty
}

// System returns the command of a timer or sweep.
func System(name, part string, at int64) Command {
	return Command{Name: name, Actor: Actor{Kind: ActorSystem, ID: part}, At: at}
}
