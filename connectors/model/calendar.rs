//! Unified objects of the category `calendar`.

use super::kinds::{Bool, Date, Num, Text, Texts};
use super::sample::sampled;
use super::unified_object;
use serde::Serialize;

unified_object! {
    /// Something that takes place at a time.
    CalendarEvent {
        attendees: Vec<Attendee<'a>>,
        calendar_id: Text<'a>,
        end_at: Date,
        is_all_day: Bool,
        is_free: Bool,
        is_private: Bool,
        location: Text<'a>,
        notes: Text<'a>,
        organizer: Option<Attendee<'a>>,
        recurrence: Vec<Recurrence<'a>>,
        recurring_event_id: Text<'a>,
        start_at: Date,
        status: Text<'a>,
        subject: Text<'a>,
        timezone: Text<'a>,
        web_url: Text<'a>,
    }
}

/// Someone who takes part in an event, or holds it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Attendee<'a> {
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Text<'a>,
    /// What the person is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Text<'a>,
    /// Whether the event cannot do without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Bool,
    /// `ACCEPTED`, `REJECTED` or `TENTATIVE`; none while there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

/// How an event comes again.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Recurrence<'a> {
    /// How often it takes place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Num,
    /// When it takes place no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_at: Date,
    /// When it does not take place after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_dates: Texts<'a>,
    /// `DAILY`, `WEEKLY`, `MONTHLY` or `YEARLY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<&'static str>,
    /// When it takes place besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_dates: Texts<'a>,
    /// Days, weeks, months or years from one time to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Num,
    /// `SU`, `MO` and so on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_days: Vec<&'static str>,
    /// Days of the month, from its end where negative.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_month_days: Vec<i32>,
    /// Months of the year, January being 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_months: Vec<i32>,
    /// For each of `on_days` which of the month or year it is, 0 for every one; from the end where negative.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_weeks: Vec<i32>,
    /// Days of the year, from its end where negative.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_year_days: Vec<i32>,
    /// The day that weeks start with: `SU`, `MO` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_start: Option<&'static str>,
}

sampled! {
    Attendee { email, name, required, status }
    Recurrence {
        count,
        end_at,
        excluded_dates,
        frequency,
        included_dates,
        interval,
        on_days,
        on_month_days,
        on_months,
        on_weeks,
        on_year_days,
        week_start,
    }
}
