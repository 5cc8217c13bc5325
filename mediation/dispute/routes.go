package dispute

import (
	"slices"

	"heyi/mediation"
)

// The closing codes of the court's online mediation rules (法释〔2021〕23号 art. 25). Code 1 is an agreement.
const (
	CodeAgreed        = "1"
	CodeSettledAlone  = "2" // settled by themselves, withdrawn
	CodeUnreachable   = "3"
	CodeUnwilling     = "4" // one side clearly unwilling
	CodeGap           = "5" // too far apart
	CodePeriodOver    = "6"
	CodeRefusedToSign = "7"
	CodeOther         = "8"
)

// CodeName is what a closing code says.
func CodeName(code string) string {
	switch code {
	case CodeAgreed:
		return "达成调解协议"
	case CodeSettledAlone:
		return "自行和解或者撤回申请"
	case CodeUnreachable:
		return "在调解期限内无法取得联系"
	case CodeUnwilling:
		return "一方明确表示不愿意调解"
	case CodeGap:
		return "分歧较大，难以达成协议"
	case CodePeriodOver:
		return "调解期限届满，没有一致同意延长"
	case CodeRefusedToSign:
		return "一方拒绝在调解协议上签字"
	case CodeOther:
		return "其他情形"
	}
	return ""
}

// The codes of the other lawful routes.
const (
	RouteSuit            = "suit"
	RouteFiling          = "court_filing"
	RouteTrial           = "court_trial"
	RouteReview          = "admin_review"
	RouteLabour          = "labour_arbitration"
	RouteLandArbitration = "land_arbitration"
	RouteWages           = "labour_inspection"
	RouteConsumer        = "consumer_12315"
	RouteMedical         = "medical_identification"
	RouteTraffic         = "traffic_insurer"
	RouteEnvironment     = "environment_12369"
	RouteAid             = "legal_aid"
)

// RouteVersion is the version of the texts below; a change of words is a new one. A lawyer of the bureau checks them.
const RouteVersion = "routes-2026-11"

// Route is one other lawful way, with the words that are read aloud.
type Route struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func routeText(code string) string {
	switch code {
	case RouteSuit:
		return "可以就这件纠纷依法向有管辖权的人民法院起诉。"
	case RouteFiling:
		return "调解不成，材料退回法院，由法院依法登记立案。"
	case RouteTrial:
		return "调解不成，案件回到法院继续审理。"
	case RouteReview:
		return "对行政机关的决定不服的，可以在收到决定之日起六十日内依法申请行政复议，也可以依法提起行政诉讼。"
	case RouteLabour:
		return "可以向劳动人事争议仲裁委员会申请仲裁，期限一般是一年，从知道或者应当知道权利被侵害那天算起。"
	case RouteLandArbitration:
		return "可以向农村土地承包仲裁委员会申请仲裁；因征收土地补偿发生的争议不在仲裁范围。"
	case RouteWages:
		return "拖欠工资的，可以打12333或者向当地劳动保障监察部门投诉。"
	case RouteConsumer:
		return "可以打12315向市场监管部门投诉，或者请消费者协会调解。"
	case RouteMedical:
		return "可以申请医疗损害鉴定，或者请卫生健康部门处理。"
	case RouteTraffic:
		return "可以请交警部门处理，或者直接找保险公司理赔。"
	case RouteEnvironment:
		return "可以打12369向生态环境部门反映。"
	case RouteAid:
		return "打官司有困难的，可以打12348或者到法律援助中心申请法律援助。"
	}
	return ""
}

// Routes are the other lawful ways in a matter (art. 26): those of the kind, then those of the category, and legal aid
// for everybody. None of them costs anything to ask about.
func Routes(k Kind, c mediation.Category) []Route {
	codes := slices.Clone(RuleOf(k).Routes)
	switch c {
	case mediation.Wages:
		codes = append([]string{RouteLabour, RouteWages}, codes...)
	case mediation.Labour:
		codes = append([]string{RouteLabour}, codes...)
	case mediation.Land:
		codes = append([]string{RouteLandArbitration}, codes...)
	case mediation.Expropriation:
		codes = append([]string{RouteReview}, codes...)
	case mediation.Consumer, mediation.ECommerce, mediation.Tourism:
		codes = append(codes, RouteConsumer)
	case mediation.Medical:
		codes = append(codes, RouteMedical)
	case mediation.Traffic:
		codes = append(codes, RouteTraffic)
	case mediation.Environment:
		codes = append(codes, RouteEnvironment)
	case mediation.Family, mediation.Neighbours, mediation.Housing, mediation.Contract, mediation.Business, mediation.Damage,
		mediation.Property, mediation.Other, mediation.Unsure:
	}
	codes = append(codes, RouteAid)
	list := []Route{}
	for _, code := range codes {
		if !slices.ContainsFunc(list, func(r Route) bool { return r.Code == code }) {
			list = append(list, Route{Code: code, Text: routeText(code)})
		}
	}
	return list
}
