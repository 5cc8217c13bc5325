package org_test

import (
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/internal/org"
)

func day(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.ParseInLocation(time.DateOnly, s, time.FixedZone("CST", 8*60*60))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The vectors of domain.md 5.5, and the edges of rest days.
func TestConfirmationLastDay(t *testing.T) {
	t.Parallel()
	c, err := org.Holidays()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ effective, last string }{
		"a last day in the national holiday waits for its end":        {"2026-09-01", "2026-10-08"},
		"a Saturday that is moved to work counts":                     {"2026-09-10", "2026-10-10"},
		"a Saturday in the new year's holiday waits for Monday":       {"2026-12-03", "2027-01-04"},
		"a plain working day":                                         {"2026-03-02", "2026-04-01"},
		"a plain Sunday waits for Monday":                             {"2026-06-12", "2026-07-13"},
		"a Sunday moved to work before the national holiday counts":   {"2026-08-21", "2026-09-20"},
		"the Spring Festival of nine days ends on a Monday":           {"2026-01-20", "2026-02-24"},
		"in a year without notice only weekends rest":                 {"2028-09-01", "2028-10-02"},
		"the year may be a leap year":                                 {"2028-01-31", "2028-03-01"},
		"a working Saturday after the Spring Festival is no rest day": {"2026-01-29", "2026-02-28"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, hour := range []time.Duration{0, 12 * time.Hour, 24*time.Hour - time.Microsecond} { // the hour of the day does not count
				if got := c.ConfirmationLastDay(day(t, tt.effective).Add(hour)).Format(time.DateOnly); got != tt.last {
					t.Errorf("effective %s at %v: last day %s, want %s", tt.effective, hour, got, tt.last)
				}
			}
		})
	}
}

func TestWorkingDays(t *testing.T) {
	t.Parallel()
	c, err := org.Holidays()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from string
		n    int
		want string
	}{{"2026-03-06", 3, "2026-03-11"}, {"2026-09-30", 2, "2026-10-09"}, {"2026-10-09", 1, "2026-10-10"}, {"2026-10-10", 0, "2026-10-10"}} {
		if got := c.AddWorkingDays(day(t, tt.from), tt.n).Format(time.DateOnly); got != tt.want {
			t.Errorf("%d working days after %s: %s, want %s", tt.n, tt.from, got, tt.want)
		}
	}
	if !c.Knows(2026) || !c.Knows(2027) || c.Knows(2028) {
		t.Error("the table should hold 2026 and 2027")
	}
}

func TestFollowUpDay(t *testing.T) {
	t.Parallel()
	eff := day(t, "2026-09-10")
	for name, tt := range map[string]struct {
		last time.Time
		want string
	}{
		"nothing to perform":              {time.Time{}, "2026-10-10"},
		"performed soon":                  {day(t, "2026-09-20"), "2026-10-10"},
		"the last instalment is far away": {day(t, "2027-03-01"), "2027-03-08"},
	} {
		if got := org.FollowUpDay(eff, tt.last).Format(time.DateOnly); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestParseCalendarRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no date":      "date,kind,name\n2026-13-01,rest,x\n",
		"unknown kind": "date,kind,name\n2026-01-01,holiday,x\n",
		"twice":        "date,kind,name\n2026-01-01,rest,x\n2026-01-01,work,x\n",
	} {
		if _, err := org.ParseCalendar(text); fault.CodeOf(err) != "org.bad_holiday" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
