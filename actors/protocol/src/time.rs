//! Points in time and their text form: XEP-0082 version 1.1.1.
//!
//! Nothing here reads a clock: now comes in from outside. Only the DateTime profile (§3.2)
//! is known; dates and times of day alone are not.

use serde::{Deserialize, Serialize};
use std::time::Duration;

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: XEP-0082 has four digits of year.
const FIRST: i64 = -62_167_219_200 * MICROS;
const LAST: i64 = 253_402_300_800 * MICROS - 1;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Later by this much, or the last time there is.
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Earlier by this much, or the first time there is.
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long ago `earlier` was, seen from here; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// XEP-0082 §3.2 in UTC, with microseconds unless they are zero. What lies outside the
    /// years 0000 to 9999 is written as the nearest time inside.
    pub fn to_xep0082(self) -> String {
        let micros = self.0.clamp(FIRST, LAST);
        let seconds = micros.div_euclid(MICROS);
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
        let second_of_day = seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
        );
        match micros.rem_euclid(MICROS) {
            0 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
            fraction => format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z"
            ),
        }
    }

    /// Reads the DateTime profile (XEP-0082 §3.2); `None` for everything else, however large.
    pub fn parse_xep0082(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (stamp, rest) = bytes.split_at_checked(19)?;
        let [year, month, day] = [
            number(&stamp[0..4])?,
            number(&stamp[5..7])?,
            number(&stamp[8..10])?,
        ];
        let [hour, minute, second] = [
            number(&stamp[11..13])?,
            number(&stamp[14..16])?,
            number(&stamp[17..19])?,
        ];
        let marks = [stamp[4], stamp[7], stamp[10], stamp[13], stamp[16]];
        // §3.1 lets a leap second through as 60; it counts as the second after.
        let in_range = marks == *b"--T::"
            && (1..=12).contains(&month)
            && (1..=days_of_month(year, month)).contains(&day)
            && hour <= 23
            && minute <= 59
            && second <= 60;
        if !in_range {
            return None;
        }
        let (fraction, zone) = parse_fraction(rest)?;
        let seconds =
            days_from_civil(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second
                - parse_zone(zone)?;
        seconds.checked_mul(MICROS)?.checked_add(fraction).map(Self)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

/// Microseconds of `.123…`, and what follows; digits beyond the sixth are cut.
fn parse_fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits_on) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let count = digits_on
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        return None;
    }
    let (digits, zone) = digits_on.split_at(count);
    let micros = (0..6).fold(0, |value, place| {
        value * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'))
    });
    Some((micros, zone))
}

/// Seconds east of UTC: `Z`, `+hh:mm` or `-hh:mm`.
fn parse_zone(zone: &[u8]) -> Option<i64> {
    if zone == b"Z" {
        return Some(0);
    }
    let &[sign, h1, h2, b':', m1, m2] = zone else {
        return None;
    };
    let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March,
/// so that the leap day is a year's last; 400 years have 146 097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The other way round.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_xep0082_are_read() {
        let landing = Timestamp::parse_xep0082("1969-07-21T02:56:15Z").expect("valid");
        assert_eq!(landing, Timestamp::from_seconds(-14_159_025));
        assert_eq!(
            Timestamp::parse_xep0082("1969-07-20T21:56:15-05:00"),
            Some(landing)
        );
        assert_eq!(
            Timestamp::parse_xep0082("1970-01-01T00:00:00.123456789Z"),
            Some(Timestamp(123_456))
        );
    }

    #[test]
    fn x20_wild_stamps_are_refused_without_panic() {
        for text in [
            "99999999-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+99:99",
            "2026-01-01 00:00:00Z",
            "-026-01-01T00:00:00Z",
            "2026-01-01T00:00:0éZ",
            "",
        ] {
            assert_eq!(Timestamp::parse_xep0082(text), None, "{text}");
        }
    }

    #[test]
    fn extreme_stamps_are_written_as_the_nearest_year() {
        assert_eq!(
            Timestamp(i64::MAX).to_xep0082(),
            "9999-12-31T23:59:59.999999Z"
        );
        assert_eq!(Timestamp(i64::MIN).to_xep0082(), "0000-01-01T00:00:00Z");
        assert_eq!(Timestamp(i64::MAX).plus(Duration::MAX), Timestamp(i64::MAX));
    }

    proptest! {
        #[test]
        fn every_stamp_of_four_digit_years_is_read_back(micros in FIRST..=LAST) {
            prop_assert_eq!(Timestamp::parse_xep0082(&Timestamp(micros).to_xep0082()), Some(Timestamp(micros)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = Timestamp::parse_xep0082(&text);
        }
    }
}
