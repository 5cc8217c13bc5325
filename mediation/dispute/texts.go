package dispute

// TextVersion is the version of everything that is put to a party; a change of words is a new one. A lawyer of the
// bureau checks the texts.
const TextVersion = "asks-2026-11"

// Text is what an ask shows and reads aloud.
type Text struct {
	Title string
	Lines []string
	Items []Item
}

// Item is one thing that is agreed to on its own.
type Item struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// TextOf returns the words of an ask. mediator is who presides, about the name of the person that an invitation names,
// disclosure what the mediator disclosed.
func TextOf(k AskKind, mediator, unit, about, disclosure string) Text {
	switch k {
	case AskConvert:
		return Text{Title: "现在就调解吗？", Lines: []string{
			"刚才说的这件事，可以由" + unit + "的调解员来调解。",
			"调解是自愿的，不收钱，您随时可以退出；退出以后，还可以去法院。",
			"现在就开始调解吗？",
		}}
	case AskInvite:
		return Text{Title: "请" + about + "参加，您同意吗？", Lines: []string{
			"调解员想请" + about + "加入这次调解。",
			"您同意以后，邀请才会发出去。",
		}}
	case AskNotice:
		return Text{Title: "您的权利和义务", Lines: []string{
			"根据《中华人民共和国人民调解法》，您在调解中有这些权利：",
			"第一，可以选择调解员，也可以接受安排的调解员；",
			"第二，可以接受调解、拒绝调解，或者要求终止调解；",
			"第三，可以要求公开进行调解，也可以要求不公开进行；",
			"第四，自主表达意愿，自愿达成调解协议。",
			"您也有这些义务：",
			"第一，如实说明纠纷的事实；",
			"第二，遵守调解现场秩序，尊重调解员；",
			"第三，尊重对方行使权利。",
			"调解不收取任何费用。调解过程不公开，请不要录音录像。",
			"调解协议经各方签字、调解员签字、调解委员会盖章后生效，各方都应当履行。",
			"调解不成，您仍然可以依法通过仲裁、行政、司法等途径解决，调解中的让步不能作为对您不利的证据。",
		}}
	case AskConsents:
		return Text{Title: "请您逐项选择", Lines: []string{
			"下面每一项都由您自己决定，可以只同意其中一部分。",
		}, Items: []Item{
			{ID: ItemOnline, Text: "我同意通过视频在网上进行这次调解，并由调解员核对我的身份证件。"},
			{ID: ItemESign, Text: "达成协议时，我同意用电子方式签名。不同意的话，就在纸上签。"},
			{ID: ItemHandOff, Text: "我同意把这次调解的卷宗移交给司法行政机关的案件系统，用来归档、督促履行和回访。"},
		}}
	case AskDisclosure:
		return Text{Title: "您同意由" + mediator + "来调解吗？", Lines: []string{
			mediator + "向您说明：", disclosure,
			"您同意由他继续调解吗？不同意的话，可以要求换人。",
		}}
	}
	return Text{}
}
