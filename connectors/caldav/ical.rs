//! iCalendar's text (RFC 5545, section 3.1): lines, folded and escaped, in components.

use std::borrow::Cow;

/// How deep components may stand in each other.
const DEPTH_MAX: usize = 8;

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Property<'t> {
    name: Cow<'t, str>,
    params: Vec<(Cow<'t, str>, String)>,
    /// As it is written.
    pub(super) value: Cow<'t, str>,
}

impl Property<'_> {
    /// A parameter, its name in upper case.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The value as text, its escapes undone (section 3.3.11).
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.value.len());
        let mut characters = self.value.chars();
        while let Some(character) = characters.next() {
            match (character, character == '\\') {
                (_, false) => text.push(character),
                (_, true) => match characters.next() {
                    Some('n' | 'N') => text.push('\n'),
                    Some(escaped) => text.push(escaped),
                    None => text.push('\\'),
                },
            }
        }
        text
    }
}

/// A component: its properties and the components in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Component<'t> {
    pub(super) name: String,
    properties: Vec<Property<'t>>,
    pub(super) components: Vec<Component<'t>>,
}

impl<'t> Component<'t> {
    /// Reads a calendar: the outermost component. None for anything else, also for what is cut short.
    pub(super) fn parse(text: &'t str) -> Option<Component<'t>> {
        let mut open: Vec<Component<'t>> = Vec::new();
        for line in lines(text) {
            let property = property(line)?;
            match property.name.as_ref() {
                "BEGIN" if open.len() < DEPTH_MAX => {
                    open.push(Component { name: property.value.trim().to_ascii_uppercase(), ..Component::default() });
                }
                "BEGIN" => return None,
                "END" => {
                    let closed = open.pop().filter(|it| it.name.eq_ignore_ascii_case(property.value.trim()))?;
                    match open.last_mut() {
                        Some(parent) => parent.components.push(closed),
                        None => return Some(closed),
                    }
                }
                _ => open.last_mut()?.properties.push(property),
            }
        }
        None
    }

    /// The first property of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Property<'t>> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// All properties of this name.
    pub(super) fn all<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c Property<'t>> {
        self.properties.iter().filter(move |property| property.name == name)
    }
}

/// The lines, put together where they were folded: what begins with a space or tab goes on with the line before.
fn lines(text: &str) -> Vec<Cow<'_, str>> {
    let mut lines: Vec<Cow<'_, str>> = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.to_mut().push_str(rest),
            _ if line.is_empty() => {}
            _ => lines.push(Cow::Borrowed(line)),
        }
    }
    lines
}

/// `NAME;PARAM=value;PARAM="quoted":value`. None for a line without a colon.
fn property(line: Cow<'_, str>) -> Option<Property<'_>> {
    let mut quoted = false;
    let mut cuts = Vec::new();
    let mut colon = None;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b';' if !quoted => cuts.push(at),
            b':' if !quoted => {
                colon = Some(at);
                break;
            }
            _ => {}
        }
    }
    let colon = colon?;
    cuts.push(colon);
    let name = line[..cuts[0]].to_ascii_uppercase();
    let params = cuts.windows(2).filter_map(|ends| {
        let (name, value) = line[ends[0] + 1..ends[1]].split_once('=')?;
        Some((Cow::Owned(name.to_ascii_uppercase()), value.trim_matches('"').to_owned()))
    });
    let params = params.collect();
    let value = match line {
        Cow::Borrowed(line) => Cow::Borrowed(&line[colon + 1..]),
        Cow::Owned(line) => Cow::Owned(line[colon + 1..].to_owned()),
    };
    Some(Property { name: Cow::Owned(name), params, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_escapes_and_quoted_parameters_are_undone() {
        let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nsummary:A long\\, fol\r\n ded line\\nwith \\\\ and \\;\r\n\
                    ATTENDEE;CN=\"Ash; Ann: A.\";ROLE=CHAIR:mailto:ann@example.com\nEND:VEVENT\nEND:VCALENDAR\n";
        let calendar = Component::parse(text).unwrap();
        let event = &calendar.components[0];
        assert_eq!(event.get("SUMMARY").unwrap().text(), "A long, folded line\nwith \\ and ;");
        let attendee = event.get("ATTENDEE").unwrap();
        assert_eq!((attendee.param("CN"), attendee.param("ROLE")), (Some("Ash; Ann: A."), Some("CHAIR")));
        assert_eq!(attendee.value, "mailto:ann@example.com");
    }

    #[test]
    fn what_is_cut_short_or_nested_wrongly_is_no_calendar() {
        for text in
            ["", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", "BEGIN:VCALENDAR\n", "SUMMARY:x\n", "no colon"]
        {
            assert!(Component::parse(text).is_none(), "{text}");
        }
        assert!(Component::parse(&"BEGIN:X\n".repeat(9)).is_none());
    }
}
