//! The answer of a REPORT: `multistatus` (RFC 4918, section 13).

use crate::contract::ConnectorError;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// How deep elements may stand in each other.
const DEPTH_MAX: usize = 32;

/// An answer.
#[derive(Debug, Default)]
pub(super) struct Multistatus {
    pub(super) responses: Vec<Response>,
    pub(super) sync_token: Option<String>,
}

/// What is said of one resource. Properties are those that the server has.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) href: String,
    pub(super) status: Option<u16>,
    pub(super) etag: Option<String>,
    pub(super) data: Option<String>,
}

/// Properties of one status.
#[derive(Debug, Default)]
struct PropStat {
    status: Option<u16>,
    etag: Option<String>,
    data: Option<String>,
}

/// True if the body is XML that has an element of this name.
pub(super) fn names(body: &[u8], name: &str) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) if element.local_name().as_ref() == name.as_bytes() => {
                return true;
            }
            Ok(Event::Eof) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

impl Multistatus {
    /// Elements are known by their local names and where they stand; prefixes are the server's choice.
    pub(super) fn read(body: &[u8]) -> Result<Self, ConnectorError> {
        let text = std::str::from_utf8(body).map_err(|_| malformed("it is no UTF-8"))?;
        let mut reader = Reader::from_str(text);
        let mut parse = Parse::default();
        loop {
            match reader.read_event().map_err(|error| malformed(&error.to_string()))? {
                Event::Start(element) => parse.open(element.local_name().as_ref())?,
                Event::Empty(element) => {
                    parse.open(element.local_name().as_ref())?;
                    parse.close();
                }
                Event::End(_) => parse.close(),
                Event::Text(part) => {
                    parse.text.push_str(&part.decode().map_err(|error| malformed(&error.to_string()))?);
                }
                Event::CData(part) => {
                    parse.text.push_str(&part.decode().map_err(|error| malformed(&error.to_string()))?);
                }
                Event::GeneralRef(entity) => {
                    let name = entity.decode().map_err(|error| malformed(&error.to_string()))?;
                    match entity.resolve_char_ref().map_err(|error| malformed(&error.to_string()))? {
                        Some(character) => parse.text.push(character),
                        None => parse.text.push_str(resolve_predefined_entity(&name).unwrap_or_default()),
                    }
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        match (parse.is_multistatus, parse.path.is_empty()) {
            (true, true) => Ok(parse.answer),
            (true, false) => Err(malformed("it ends in its middle")),
            (false, _) => Err(malformed("it is no multistatus")),
        }
    }
}

fn malformed(why: &str) -> ConnectorError {
    ConnectorError::malformed(format!("a multistatus was expected: {why}"))
}

#[derive(Default)]
struct Parse {
    path: Vec<String>,
    text: String,
    is_multistatus: bool,
    answer: Multistatus,
    response: Response,
    propstat: PropStat,
}

impl Parse {
    fn open(&mut self, name: &[u8]) -> Result<(), ConnectorError> {
        if self.path.len() >= DEPTH_MAX {
            return Err(malformed("its elements stand too deep in each other"));
        }
        self.is_multistatus |= self.path.is_empty() && name == b"multistatus";
        self.path.push(String::from_utf8_lossy(name).into_owned());
        self.text.clear();
        Ok(())
    }

    fn close(&mut self) {
        let Some(name) = self.path.pop() else { return };
        let parent = self.path.last().map_or("", String::as_str);
        let text = std::mem::take(&mut self.text);
        match (parent, name.as_str()) {
            ("multistatus", "sync-token") => self.answer.sync_token = Some(text.trim().to_owned()),
            ("multistatus", "response") => self.answer.responses.push(std::mem::take(&mut self.response)),
            ("response", "href") => self.response.href = text.trim().to_owned(),
            ("response", "status") => self.response.status = status(&text),
            ("response", "propstat") => {
                let found = std::mem::take(&mut self.propstat);
                if found.status.is_none_or(|status| (200..300).contains(&status)) {
                    self.response.etag = found.etag.or(self.response.etag.take());
                    self.response.data = found.data.or(self.response.data.take());
                }
            }
            ("propstat", "status") => self.propstat.status = status(&text),
            ("prop", "getetag") => self.propstat.etag = Some(text.trim().to_owned()),
            ("prop", "calendar-data") => self.propstat.data = Some(text),
            _ => {}
        }
    }
}

/// The number in `HTTP/1.1 404 Not Found`.
fn status(line: &str) -> Option<u16> {
    line.split_whitespace().nth(1)?.parse().ok()
}
