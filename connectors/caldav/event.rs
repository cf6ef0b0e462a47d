//! An event (RFC 5545, section 3.6.1) as a unified object.

use super::ical::{Component, Property};
use super::recurrence::recurrences;
use super::time::{Zones, duration};
use crate::contract::RecordError;
use crate::model::{Attendee, CalendarEvent, Timestamp};
use chrono::TimeDelta;
use std::borrow::Cow;

/// What is known of an event that was deleted.
pub(super) fn deleted(id: &str) -> Result<Vec<u8>, RecordError> {
    Ok(serde_json::to_vec(&CalendarEvent { id: id.into(), ..CalendarEvent::default() })?)
}

/// The unified object of a resource; none where it holds no event. One resource is one event, with all that was changed
/// of single occurrences (RFC 4791, section 4.1): the event itself is the one without a `RECURRENCE-ID`.
pub(super) fn object(id: &str, ical: &str) -> Result<Option<Vec<u8>>, RecordError> {
    let calendar = Component::parse(ical)
        .filter(|calendar| calendar.name == "VCALENDAR")
        .ok_or_else(|| RecordError("it is no iCalendar object, or cut short".to_owned()))?;
    let events = || calendar.components.iter().filter(|component| component.name == "VEVENT");
    let Some(event) = events().find(|event| event.get("RECURRENCE-ID").is_none()).or_else(|| events().next()) else {
        return Ok(None);
    };
    let object = map(id, event, &Zones::of(&calendar))?;
    Ok(Some(serde_json::to_vec(&object)?))
}

fn map<'e>(id: &'e str, event: &'e Component<'_>, zones: &Zones<'_, '_>) -> Result<CalendarEvent<'e>, RecordError> {
    let dtstart = event.get("DTSTART").ok_or_else(|| RecordError("the event has no DTSTART".to_owned()))?;
    let start = zones.when(dtstart);
    let length = event.get("DURATION").and_then(|property| duration(&property.value));
    // Without an end, a day takes a day, and a time is a moment (section 3.6.1).
    let end = event.get("DTEND").and_then(|property| zones.when(property)).map(|end| end.at).or_else(|| {
        let start = start?;
        let usual = if start.is_day { TimeDelta::days(1) } else { TimeDelta::zero() };
        start.at.checked_add_signed(length.unwrap_or(usual))
    });
    let instant = |name| event.get(name).and_then(|property| zones.when(property)).map(|when| Timestamp(when.at));
    let is = |name: &str, words: &[&str]| {
        event.get(name).map(|property| words.iter().any(|word| property.value.trim().eq_ignore_ascii_case(word)))
    };
    Ok(CalendarEvent {
        id: Cow::Borrowed(id),
        created_at: instant("CREATED"),
        updated_at: instant("LAST-MODIFIED").or_else(|| instant("DTSTAMP")),
        attendees: event.all("ATTENDEE").map(attendee).collect(),
        end_at: end.map(Timestamp),
        is_all_day: start.map(|start| start.is_day),
        is_free: is("TRANSP", &["TRANSPARENT"]),
        is_private: is("CLASS", &["PRIVATE", "CONFIDENTIAL"]),
        location: text(event, "LOCATION"),
        notes: text(event, "DESCRIPTION"),
        organizer: event.get("ORGANIZER").map(attendee),
        recurrence: recurrences(event, zones),
        start_at: start.map(|start| Timestamp(start.at)),
        status: event.get("STATUS").and_then(|property| status(property.value.trim())).map(Cow::Borrowed),
        subject: text(event, "SUMMARY"),
        timezone: dtstart.param("TZID").map(|name| Cow::Owned(name.to_owned())),
        web_url: event.get("URL").map(|property| Cow::Borrowed(property.value.trim())),
        ..CalendarEvent::default()
    })
}

fn text<'e>(event: &Component<'_>, name: &str) -> Option<Cow<'e, str>> {
    event.get(name).map(Property::text).filter(|text| !text.is_empty()).map(Cow::Owned)
}

fn status(value: &str) -> Option<&'static str> {
    match value.to_ascii_uppercase().as_str() {
        "CONFIRMED" => Some("CONFIRMED"),
        "TENTATIVE" => Some("TENTATIVE"),
        "CANCELLED" => Some("CANCELED"),
        _ => None,
    }
}

/// A calendar address is an URI, mostly `mailto:` (section 3.3.3).
fn attendee<'e>(property: &Property<'_>) -> Attendee<'e> {
    let address = property.value.trim();
    let is_mail = address.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
    let role = property.param("ROLE").map(str::to_ascii_uppercase);
    Attendee {
        email: is_mail.then(|| Cow::Owned(address[7..].to_owned())),
        name: property.param("CN").map(|name| Cow::Owned(name.to_owned())),
        required: role.and_then(|role| match role.as_str() {
            "REQ-PARTICIPANT" | "CHAIR" => Some(true),
            "OPT-PARTICIPANT" | "NON-PARTICIPANT" => Some(false),
            _ => None,
        }),
        status: property.param("PARTSTAT").and_then(|answer| match answer.to_ascii_uppercase().as_str() {
            "ACCEPTED" => Some("ACCEPTED"),
            "DECLINED" => Some("REJECTED"),
            "TENTATIVE" => Some("TENTATIVE"),
            _ => None,
        }),
    }
}
