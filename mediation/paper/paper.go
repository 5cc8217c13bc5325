package paper

// Paper is one document as the renderer (mediation/agreement/pdf) needs it: A4, parts one below the other, page
// numbers at the foot. The same Paper and fonts give the same bytes.
type Paper struct {
	Title  string
	Number string // below the title, may be empty
	Issuer string // in the document's properties and at the foot
	Foot   string // at the foot of every page, may be empty
	At     int64  // instant in the document's properties, Unix microseconds
	Parts  []Part
}

// Part is a stretch of a paper. Everything that is set is drawn, in the order of the fields.
type Part struct {
	Heading string
	Text    []string // paragraphs
	Rows    []Row    // name and value, as a ruled table of two columns
	Grid    *Grid    // a ruled table
	Marks   []Signed // who signed, with the drawn lines
	Seal    *Seal
	QR      *QR
	Small   bool // text in small print
	Indent  bool // paragraphs begin two characters in, as in a letter
	NewPage bool // begins on a new page
}

// Row is one line of a form.
type Row struct{ Name, Value string }

// Grid is a table with a header line. Shares are the widths of the columns relative to each other.
type Grid struct {
	Head   []string
	Shares []int
	Rows   [][]string
}

// Signed is one signature: who, in which role, when in words, the drawn mark or none (a line to sign by hand).
type Signed struct {
	Role string
	Name string
	When string
	Mark *Mark
}

// Seal is the picture of a committee's round seal with a line of words below it. What it proves is the signature of the
// committee key over the package, not the picture.
type Seal struct {
	Name  string // "敖汉旗萨力巴乡人民调解委员会"
	Label string // below the ring inside, "人民调解专用章"
	Below []string
}

// QR is a code with words beside it.
type QR struct {
	Text  string
	Lines []string
}
