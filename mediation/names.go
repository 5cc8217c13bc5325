package mediation

// Name returns the category as it stands on papers and forms (domain.md 5.8), the word itself when it is none of ours.
func (c Category) Name() string {
	if name, ok := map[Category]string{
		Family: "婚姻家庭", Neighbours: "邻里", Housing: "房屋宅基地", Contract: "合同", Business: "生产经营", Damage: "损害赔偿",
		Land: "山林土地", Expropriation: "征地拆迁", Environment: "环境污染", Wages: "拖欠农民工工资", Labour: "劳动争议", Medical: "医疗",
		Traffic: "道路交通事故", Property: "物业", Consumer: "消费", Tourism: "旅游", ECommerce: "电子商务", Other: "其他", Unsure: "未分类",
	}[c]; ok {
		return name
	}
	return string(c)
}
