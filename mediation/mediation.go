// Package mediation is the shared vocabulary of the product: who acts, what is asked, in which language. It holds
// words only, no rules; docs/architecture.md says which package decides what.
package mediation

import (
	"slices"

	"heyi/internal/ident"
)

// ActorKind says what sort of caller caused a change.
type ActorKind string

// The actor kinds.
const (
	ActorStaff   ActorKind = "staff"
	ActorPerson  ActorKind = "person"
	ActorDevice  ActorKind = "device"  // an anonymous visit at a terminal
	ActorCapture ActorKind = "capture" // a phone paired as camera
	ActorParty   ActorKind = "party"   // a party who came by a link of his own
	ActorSystem  ActorKind = "system"  // a timer or a sweep
)

// Actor is who causes a change; it stands in every event. It never holds a name.
type Actor struct {
	Kind   ActorKind
	ID     string         // staff, person, device, grant or link id; the part's name for the system
	Device ident.DeviceID // terminal in use, empty when none
}

// TicketKind is what a citizen queues for.
type TicketKind string

// The ticket kinds of this build.
const (
	Consult TicketKind = "consult" // a question to a duty lawyer
	Mediate TicketKind = "mediate" // a dispute to a mediator
)

// Category is one of the 18 lines by which disputes are counted (人民调解 statistics), or Unsure.
type Category string

// The categories. The nine tiles of the TV map to them (kiosk-ui/tiles/categories.json is the one fixture).
const (
	Family        Category = "family"        // 婚姻家庭
	Neighbours    Category = "neighbours"    // 邻里
	Housing       Category = "housing"       // 房屋宅基地
	Contract      Category = "contract"      // 合同
	Business      Category = "business"      // 生产经营
	Damage        Category = "damage"        // 损害赔偿
	Land          Category = "land"          // 山林土地(含草牧场)
	Expropriation Category = "expropriation" // 征地拆迁
	Environment   Category = "environment"   // 环境污染
	Wages         Category = "wages"         // 拖欠农民工工资
	Labour        Category = "labour"        // 劳动争议(其他)
	Medical       Category = "medical"       // 医疗
	Traffic       Category = "traffic"       // 道路交通事故
	Property      Category = "property"      // 物业
	Consumer      Category = "consumer"      // 消费
	Tourism       Category = "tourism"       // 旅游
	ECommerce     Category = "ecommerce"     // 电子商务
	Other         Category = "other"         // 其他
	Unsure        Category = "unsure"        // 说不清，帮我选
)

// Categories lists every category in the order of the statistics form, Unsure last.
func Categories() []Category {
	return []Category{
		Family, Neighbours, Housing, Contract, Business, Damage, Land, Expropriation, Environment, Wages, Labour,
		Medical, Traffic, Property, Consumer, Tourism, ECommerce, Other, Unsure,
	}
}

// Known reports whether c is one of Categories.
func (c Category) Known() bool {
	return slices.Contains(Categories(), c)
}

// Lang is a language of service.
type Lang string

// The languages of this build.
const (
	Chinese   Lang = "zh"
	Mongolian Lang = "mn"
)

// Known reports whether l can be chosen on a terminal.
func (l Lang) Known() bool { return l == Chinese || l == Mongolian }

// Lane is the unit in which order is promised: within a lane nobody is passed.
type Lane struct {
	Category Category
	Lang     Lang
	County   ident.UnitID
}
