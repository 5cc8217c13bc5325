// Package notify brings texts to people's phones.
//
// A Text is a row written in the transaction of the command that causes it, so it is neither lost nor sent for a command
// that failed; its words and number are sealed. Sender claims what is due, hands it to an Adapter (File by default, HTTP
// for a text gateway) and tries again with backoff until the text has no more use.
//
// A text may arrive twice when the process dies between sending and noting it; its ID lets a gateway see that.
//
// Concurrency: adapters and a Sender are safe for concurrent use. Sender.Run starts no goroutine.
package notify

import (
	"strings"

	"heyi/internal/fault"
)

// Template names the words of a text.
type Template string

// The templates.
const (
	Invite    Template = "invite"     // url, from, unit, mediator, life
	PhoneCode Template = "phone_code" // code
	Receipt   Template = "receipt"    // number, receipt_no
	Confirm   Template = "confirm"    // number, last_on, days
)

// words are the templates; {name} stands for an argument. Every text says who speaks, and none asks for money.
func words(t Template) (string, bool) {
	switch t {
	case Invite:
		return "【和议】{from}想请您一起远程调解，{unit}的{mediator}主持，不收费。点开就能来：{url} 链接{life}内有效，只给您本人用。不来也不影响您的任何权利。", true
	case PhoneCode:
		return "【和议】核验码 {code}，10分钟内有效。调解员正在核对您的身份，请在自己的手机上输入，不要告诉别人。", true
	case Receipt:
		return "【和议】您的调解协议{number}已生效并移交存档，回执号 {receipt_no}。", true
	case Confirm:
		return "【和议】您的调解协议{number}可以由双方一起向法院申请司法确认，不收费。还剩{days}天，最后一天是{last_on}。", true
	}
	return "", false
}

// Text is one message to one phone.
type Text struct {
	ID       string // UUIDv7 text; empty: the store makes one
	Template Template
	To       string            // phone number
	Args     map[string]string // of the template; personal data
	DueAt    int64             // when to send it, Unix microseconds; 0 is at once
	UntilAt  int64             // when it has no more use; 0 is 24 h after it is due
	Subject  string            // id of what it is about: the dispute
}

// Words returns the message and the address in it, empty when it has none.
//
// Errors: fault.Invalid "notify.template", "notify.argument" (Field names the one that is missing).
func (t *Text) Words() (text, link string, err error) {
	text, ok := words(t.Template)
	if !ok {
		return "", "", fault.InField("notify.template", "template")
	}
	pairs := make([]string, 0, 2*len(t.Args))
	for name, value := range t.Args {
		pairs = append(pairs, "{"+name+"}", plain(value))
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	if _, rest, found := strings.Cut(text, "{"); found {
		name, _, _ := strings.Cut(rest, "}")
		return "", "", fault.InField("notify.argument", name)
	}
	return text, t.Args["url"], nil
}

// plain keeps an argument a name or a number: it cannot begin a second message or stand for another argument.
func plain(s string) string {
	s = strings.NewReplacer("{", "", "}", "", "【", "", "】", "").Replace(s)
	return strings.Join(strings.Fields(s), " ")
}

// Check reports whether a text can be sent: words complete, a phone number.
//
// Errors: as Words; fault.Invalid "notify.phone".
func (t *Text) Check() error {
	if !Phone(t.To) {
		return fault.InField("notify.phone", "to")
	}
	_, _, err := t.Words()
	return err
}

// Phone reports whether s can be a telephone number: 5 to 15 digits, which a plus may precede (ITU-T E.164).
func Phone(s string) bool {
	s = strings.TrimPrefix(s, "+")
	return len(s) >= 5 && len(s) <= 15 && strings.Trim(s, "0123456789") == ""
}
