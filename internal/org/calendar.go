package org

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"time"

	"heyi/internal/fault"
)

// ConfirmationDays is how long the parties may ask for judicial confirmation together: thirty days from the effective
// day (人民调解法 art. 33, 民事诉讼法 2023 art. 205).
const ConfirmationDays = 30

// The default times of a follow-up (domain.md 7.7).
const (
	followUpAfterPerformance = 7
	followUpAfterEffect      = 30
)

// Calendar knows which days are rest days: Saturdays and Sundays, the days that the State Council's notice frees, less
// those that it moves to work. It never changes after it was made.
type Calendar struct {
	days  map[string]bool // 2026-10-10 -> rests
	years []int           // with a notice
}

// holidaysCSV holds the notices of 2026 and 2027. [C]: an operator checks it against the notice of the year; that of
// 2027 was not out when it was written, so only the statutory days stand there and no moved ones.
//
//go:embed holidays.csv
var holidaysCSV string

// Holidays returns the shipped calendar.
func Holidays() (*Calendar, error) { return ParseCalendar(holidaysCSV) }

// ParseCalendar reads a holiday table: CSV with the header date,kind,name; kind is rest or work.
//
// Errors: fault.Invalid "org.bad_holiday" with the line in Field.
func ParseCalendar(text string) (*Calendar, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = 3
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("org: read holidays: %w", err)
	}
	c := &Calendar{days: make(map[string]bool, len(rows))}
	for i, f := range rows {
		if i == 0 {
			continue
		}
		day, err := time.Parse(time.DateOnly, f[0])
		if _, twice := c.days[f[0]]; err != nil || twice || f[1] != "rest" && f[1] != "work" {
			return nil, fault.InField("org.bad_holiday", fmt.Sprintf("line %d", i+1))
		}
		c.days[f[0]] = f[1] == "rest"
		if !slices.Contains(c.years, day.Year()) {
			c.years = append(c.years, day.Year())
		}
	}
	return c, nil
}

// Knows reports whether the table holds the year; in other years only weekends rest.
func (c *Calendar) Knows(year int) bool { return slices.Contains(c.years, year) }

// Rests reports whether the date of day, in day's own location, is a rest day.
func (c *Calendar) Rests(day time.Time) bool {
	if rests, listed := c.days[day.Format(time.DateOnly)]; listed {
		return rests
	}
	return day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
}

// midnight is the begin of t's date in its own location.
func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
}

// ConfirmationLastDay returns the last date on which the parties may ask for judicial confirmation. The effective day is
// not counted; a last day that rests moves to the next one that does not (民事诉讼法 2023 art. 85).
func (c *Calendar) ConfirmationLastDay(effective time.Time) time.Time {
	day := midnight(effective).AddDate(0, 0, ConfirmationDays)
	for c.Rests(day) {
		day = day.AddDate(0, 0, 1)
	}
	return day
}

// AddWorkingDays returns the date n working days after from, which is not counted.
func (c *Calendar) AddWorkingDays(from time.Time, n int) time.Time {
	day := midnight(from)
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		if !c.Rests(day) {
			n--
		}
	}
	return day
}

// FollowUpDay returns the date on which somebody asks how it went: 7 days after the last performance date (the zero
// Time when nothing is to be performed) or 30 days after the effective day, the later.
func FollowUpDay(effective, lastPerformance time.Time) time.Time {
	day := midnight(effective).AddDate(0, 0, followUpAfterEffect)
	if lastPerformance.IsZero() {
		return day
	}
	y, m, d := lastPerformance.Date()
	after := time.Date(y, m, d, 0, 0, 0, 0, effective.Location()).AddDate(0, 0, followUpAfterPerformance)
	if after.After(day) {
		return after
	}
	return day
}
