//! One event of a calendar: RFC 5545, as far as a room beside it needs it.
//!
//! Whose it is, who is invited, what it is called, and which version of it this is. What comes
//! here was written by anybody's calendar: everything has a bound, and nothing is guessed.
//! Left out: times and repetition. A series has one room, so what differs in one of its
//! occurrences (`RECURRENCE-ID`) is passed over.

/// Lines of one calendar, unfolded. Each of some hundred attendees has one.
const LINES_MAX: usize = 4_000;

/// Components within each other: a calendar, an event, an alarm, and room for what is to come.
const DEPTH_MAX: usize = 8;

/// People of one event.
pub const ATTENDEES_MAX: usize = 500;

/// Bytes of what tells events apart; programs write some fifty.
const UID_BYTES_MAX: usize = 1024;

/// Bytes of what an event is called; more is cut.
const SUMMARY_BYTES_MAX: usize = 512;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What tells it from all others (§3.8.4.7).
    pub uid: String,
    /// Which version of it this is (§3.8.7.4).
    pub sequence: u32,
    /// What it is called (§3.8.1.12); perhaps nothing.
    pub summary: String,
    /// The mail address of who invites (§3.8.4.3).
    pub organizer: Option<String>,
    /// The mail addresses of who is invited (§3.8.4.1); rooms and things are none of them.
    pub attendees: Vec<String>,
    /// It does not take place.
    pub is_cancelled: bool,
}

/// Why a text is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// It breaks the grammar.
    #[error("the calendar cannot be read")]
    Broken,
    /// It has more of something than there may be.
    #[error("the calendar has too much in it")]
    TooMuch,
    /// There is none in it.
    #[error("the calendar has no event with a UID")]
    None,
    /// There are several.
    #[error("the calendar has several events")]
    Several,
}

/// Reads the one event of a calendar.
///
/// # Errors
/// [`CalendarError`].
pub fn parse_event(text: &str) -> Result<Event, CalendarError> {
    let lines = unfold(text)?;
    let mut inside: Vec<String> = Vec::new();
    let mut reading = Reading::default();
    for line in &lines {
        let property = Property::read(line).ok_or(CalendarError::Broken)?;
        match property.name.as_str() {
            "BEGIN" => {
                if inside.len() >= DEPTH_MAX {
                    return Err(CalendarError::TooMuch);
                }
                inside.push(property.value.to_ascii_uppercase());
                if is_event(&inside) {
                    reading.begin();
                }
            }
            "END" => {
                let is_event = is_event(&inside);
                let ended = inside.pop().ok_or(CalendarError::Broken)?;
                if !ended.eq_ignore_ascii_case(property.value) {
                    return Err(CalendarError::Broken);
                }
                if is_event {
                    reading.end()?;
                }
            }
            _ => reading.take(&property, &inside)?,
        }
    }
    match inside.is_empty() {
        true => reading.event(),
        false => Err(CalendarError::Broken),
    }
}

fn is_event(inside: &[String]) -> bool {
    matches!(inside, [calendar, event] if calendar == "VCALENDAR" && event == "VEVENT")
}

/// §3.1: a line that begins with a blank goes on the one before.
fn unfold(text: &str) -> Result<Vec<String>, CalendarError> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(before)) => before.push_str(rest),
            (Some(_), None) => return Err(CalendarError::Broken),
            (None, _) if line.is_empty() => {}
            (None, _) => lines.push(line.to_owned()),
        }
        if lines.len() > LINES_MAX {
            return Err(CalendarError::TooMuch);
        }
    }
    Ok(lines)
}

/// A line (§3.1): a name, parameters, a value.
struct Property<'a> {
    name: String,
    parameters: Vec<(String, String)>,
    value: &'a str,
}

impl<'a> Property<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let is_name = |it: char| it.is_ascii_alphanumeric() || it == '-';
        let end = line.find(|it| !is_name(it))?;
        let (name, mut rest) = line.split_at_checked(end)?;
        let mut parameters = Vec::new();
        while let Some(parameter) = rest.strip_prefix(';') {
            let (parameter_name, value) = parameter.split_once('=')?;
            let (value, after) = read_values(value)?;
            parameters.push((parameter_name.to_ascii_uppercase(), value));
            rest = after;
        }
        let value = rest.strip_prefix(':')?;
        let is_clean = !name.is_empty() && !line.chars().any(|it| it.is_control() && it != '\t');
        is_clean.then(|| Self {
            name: name.to_ascii_uppercase(),
            parameters,
            value,
        })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.parameters.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// A mail address as a value of the type `CAL-ADDRESS` (§3.3.3).
    fn address(&self) -> Option<&'a str> {
        let (scheme, address) = self.value.trim().split_once(':')?;
        let is_mail = scheme.eq_ignore_ascii_case("mailto") && address.contains('@');
        is_mail.then_some(address)
    }

    /// §3.2.3: a room or a projector is invited, too, and says nothing.
    fn is_of_people(&self) -> bool {
        let kind = self.parameter("CUTYPE").unwrap_or_default();
        !["RESOURCE", "ROOM"]
            .iter()
            .any(|thing| kind.eq_ignore_ascii_case(thing))
    }
}

/// The values of a parameter (§3.2), quoted or not, and what stands behind them.
fn read_values(text: &str) -> Option<(String, &str)> {
    match text.strip_prefix('"') {
        Some(quoted) => {
            let (value, after) = quoted.split_once('"')?;
            match after.strip_prefix(',') {
                Some(more) => read_values(more).map(|(_, after)| (value.to_owned(), after)),
                None => Some((value.to_owned(), after)),
            }
        }
        None => {
            let end = text.find([';', ':', '"'])?;
            let (value, after) = text.split_at(end);
            (!after.starts_with('"')).then(|| (value.to_owned(), after))
        }
    }
}

/// The events of a calendar, as far as they have been read.
#[derive(Default)]
struct Reading {
    /// The calendar as a whole says that something is called off (RFC 5546 §3.2.5).
    cancels: bool,
    current: Event,
    /// What is being read is one occurrence of a series.
    is_occurrence: bool,
    found: Option<Event>,
}

impl Reading {
    fn begin(&mut self) {
        self.current = Event::default();
        self.is_occurrence = false;
    }

    fn end(&mut self) -> Result<(), CalendarError> {
        let event = std::mem::take(&mut self.current);
        if self.is_occurrence || event.uid.is_empty() {
            return Ok(());
        }
        match self.found.replace(event) {
            Some(_) => Err(CalendarError::Several),
            None => Ok(()),
        }
    }

    fn take(&mut self, property: &Property<'_>, inside: &[String]) -> Result<(), CalendarError> {
        if inside.is_empty() {
            return Err(CalendarError::Broken);
        }
        if inside.len() == 1 && property.name == "METHOD" {
            self.cancels = property.value.trim().eq_ignore_ascii_case("CANCEL");
        }
        if !is_event(inside) {
            return Ok(());
        }
        let event = &mut self.current;
        match property.name.as_str() {
            "UID" if property.value.len() > UID_BYTES_MAX => return Err(CalendarError::TooMuch),
            "UID" => event.uid = property.value.trim().to_owned(),
            "SEQUENCE" => {
                let number = property.value.trim().parse();
                event.sequence = number.map_err(|_| CalendarError::Broken)?;
            }
            "SUMMARY" => event.summary = summary(property.value),
            "STATUS" => {
                event.is_cancelled = property.value.trim().eq_ignore_ascii_case("CANCELLED");
            }
            "RECURRENCE-ID" => self.is_occurrence = true,
            "ORGANIZER" => event.organizer = property.address().map(str::to_owned),
            "ATTENDEE" if event.attendees.len() >= ATTENDEES_MAX => {
                return Err(CalendarError::TooMuch);
            }
            "ATTENDEE" if property.is_of_people() => {
                event
                    .attendees
                    .extend(property.address().map(str::to_owned));
            }
            _ => {}
        }
        Ok(())
    }

    fn event(self) -> Result<Event, CalendarError> {
        let mut event = self.found.ok_or(CalendarError::None)?;
        event.is_cancelled |= self.cancels;
        Ok(event)
    }
}

/// A text (§3.3.11) in one line, of bounded length.
fn summary(escaped: &str) -> String {
    let mut text = String::new();
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        let character = match character {
            '\\' => match characters.next() {
                Some('n' | 'N') => ' ',
                Some(other) => other,
                None => break,
            },
            '\t' => ' ',
            other => other,
        };
        if text.len() + character.len_utf8() > SUMMARY_BYTES_MAX {
            break;
        }
        text.push(character);
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(inner: &str) -> String {
        let inner = inner.trim().lines().map(str::trim_start);
        let inner: Vec<&str> = inner.collect();
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}\r\nEND:VCALENDAR\r\n",
            inner.join("\r\n")
        )
    }

    const MEETING: &str = "BEGIN:VEVENT
        UID:4711@example.org
        SEQUENCE:3
        DTSTART;TZID=\"Europe/Zurich\":20261201T100000
        SUMMARY:Budget\\, all of it\\nand more
        ORGANIZER;CN=\"Doe; John\":mailto:john.doe@example.org
        ATTENDEE;CN=Jane;PARTSTAT=ACCEPTED:MAILTO:jane.poe@example.org
        ATTENDEE;CUTYPE=ROOM:mailto:room1@example.org
        ATTENDEE;MEMBER=\"mailto:a@x\",\"mailto:b@x\";CUTYPE=INDIVIDUAL:mailto:max@elsewhere.example
        ATTENDEE:urn:uuid:1
        BEGIN:VALARM
        UID:alarm
        ATTENDEE:mailto:alarm@example.org
        END:VALARM
        END:VEVENT";

    #[test]
    fn event_is_read_with_its_people() {
        let event = parse_event(&calendar(MEETING)).unwrap();
        let expected = Event {
            uid: "4711@example.org".into(),
            sequence: 3,
            summary: "Budget, all of it and more".into(),
            organizer: Some("john.doe@example.org".into()),
            attendees: vec![
                "jane.poe@example.org".into(),
                "max@elsewhere.example".into(),
            ],
            is_cancelled: false,
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn folded_lines_are_one_even_in_the_middle_of_a_name() {
        let text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUI\n D:a\n\tb\nSUMMARY:x\n  y\n\
                    END:VEVENT\nEND:VCALENDAR";
        let event = parse_event(text).unwrap();
        assert_eq!((event.uid.as_str(), event.summary.as_str()), ("ab", "x y"));
    }

    #[test]
    fn event_is_called_off_by_its_status_or_by_the_method() {
        let status = "BEGIN:VEVENT\nUID:a\nSTATUS:CANCELLED\nEND:VEVENT";
        let method = "METHOD:CANCEL\nBEGIN:VEVENT\nUID:a\nEND:VEVENT";
        for cancelled in [status, method] {
            assert!(parse_event(&calendar(cancelled)).unwrap().is_cancelled);
        }
    }

    #[test]
    fn occurrences_of_a_series_are_part_of_it() {
        let series = "BEGIN:VEVENT\nUID:a\nSUMMARY:all\nRRULE:FREQ=DAILY\nEND:VEVENT\n\
                      BEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20261202T100000Z\nSTATUS:CANCELLED\n\
                      ATTENDEE:mailto:guest@example.org\nEND:VEVENT";
        let event = parse_event(&calendar(series)).unwrap();
        assert_eq!(event.summary, "all");
        assert!(!event.is_cancelled && event.attendees.is_empty());
    }

    #[test]
    fn what_is_no_event_is_refused_by_name() {
        let two = "BEGIN:VEVENT\nUID:a\nEND:VEVENT\nBEGIN:VEVENT\nUID:b\nEND:VEVENT";
        for (inner, error) in [
            ("", CalendarError::None),
            ("BEGIN:VTODO\nUID:a\nEND:VTODO", CalendarError::None),
            ("BEGIN:VEVENT\nSUMMARY:a\nEND:VEVENT", CalendarError::None),
            (two, CalendarError::Several),
            ("BEGIN:VEVENT\nUID:a", CalendarError::Broken),
            ("BEGIN:VEVENT\nUID:a\nEND:VTODO", CalendarError::Broken),
            (
                "BEGIN:VEVENT\nUID:a\nSEQUENCE:-1\nEND:VEVENT",
                CalendarError::Broken,
            ),
            ("BEGIN:VEVENT\nno colon\nEND:VEVENT", CalendarError::Broken),
            (
                "BEGIN:VEVENT\nX;Y=\"open:z\nEND:VEVENT",
                CalendarError::Broken,
            ),
            (
                "BEGIN:VEVENT\nUID:a\u{7}\nEND:VEVENT",
                CalendarError::Broken,
            ),
            ("BEGIN:VEVENT\n:value\nEND:VEVENT", CalendarError::Broken),
        ] {
            assert_eq!(parse_event(&calendar(inner)), Err(error), "{inner}");
        }
        for text in ["", " x", "UID:a", "END:VCALENDAR"] {
            assert!(parse_event(text).is_err(), "{text}");
        }
    }

    #[test]
    fn too_much_of_anything_is_refused() {
        let people = "ATTENDEE:mailto:a@x.example\n".repeat(ATTENDEES_MAX + 1);
        let nested = "BEGIN:VEVENT\n".repeat(DEPTH_MAX + 1);
        for inner in [
            format!("BEGIN:VEVENT\nUID:a\n{people}END:VEVENT"),
            format!(
                "BEGIN:VEVENT\nUID:{}\nEND:VEVENT",
                "a".repeat(UID_BYTES_MAX + 1)
            ),
            nested,
            "X:y\n".repeat(LINES_MAX),
        ] {
            assert_eq!(parse_event(&calendar(&inner)), Err(CalendarError::TooMuch));
        }
        let long = format!(
            "BEGIN:VEVENT\nUID:a\nSUMMARY:{}\nEND:VEVENT",
            "ä".repeat(4000)
        );
        let event = parse_event(&calendar(&long)).unwrap();
        assert_eq!(event.summary.len(), SUMMARY_BYTES_MAX);
    }
}
