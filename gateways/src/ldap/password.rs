//! When a password was changed, as directories write it down: what was let in by the one before
//! must not outlive it by months.

use klatsch_protocol::time::Timestamp;
use ldap3_proto::proto::LdapSearchResultEntry;

use super::person::values;

/// Written by OpenLDAP's password policy, 389-DS (`passwordTrackUpdateTime`), FreeIPA; Samba;
/// Active Directory. Left out: `shadowLastChange`, which knows no more than the day, and
/// `passwordExpirationTime`, which moves with the policy, too.
pub(super) const ATTRIBUTES: [&str; 5] = [
    "pwdChangedTime",
    "pwdUpdateTime",
    "krbLastPwdChange",
    "sambaPwdLastSet",
    "pwdLastSet",
];

/// When an entry's password was changed, if it says so; of several times the latest.
pub(super) fn changed(entry: &LdapSearchResultEntry) -> Option<Timestamp> {
    let read = |name: &'static str, read: fn(&str) -> Option<Timestamp>| {
        values(entry, name).filter_map(move |it| read(it.trim()))
    };
    let [generalized @ .., unix, windows] = ATTRIBUTES;
    let times = generalized.into_iter();
    let times = times.flat_map(|name| read(name, parse_generalized));
    let times = times.chain(read(unix, parse_unix));
    times.chain(read(windows, parse_windows)).max()
}

/// GeneralizedTime (RFC 4517 §3.3.13); `None` for everything else.
fn parse_generalized(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (stamp, rest) = text.split_at(digits);
    // Minutes and seconds may be left out, which nobody does for this.
    let (minutes, seconds) = match stamp.len() {
        12 => (stamp, "00"),
        14 => stamp.split_at(12),
        _ => return None,
    };
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone_at);
    let zone = match zone.split_at_checked(3) {
        Some((hours, minutes)) if zone != "Z" && minutes.len() == 2 => format!("{hours}:{minutes}"),
        Some((hours, "")) => format!("{hours}:00"),
        _ => zone.to_owned(),
    };
    let part = |from: usize, to: usize| minutes.get(from..to).unwrap_or_default();
    let date = format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8));
    let time = format!("{}:{}:{seconds}", part(8, 10), part(10, 12));
    let fraction = fraction.replace(',', ".");
    Timestamp::parse_xep0082(&format!("{date}T{time}{fraction}{zone}"))
}

/// Seconds since 1970.
fn parse_unix(text: &str) -> Option<Timestamp> {
    let seconds: u32 = text.parse().ok()?;
    (seconds > 0).then(|| Timestamp::from_seconds(seconds.into()))
}

/// Tenths of a microsecond since 1601; 0 and -1 say something else.
fn parse_windows(text: &str) -> Option<Timestamp> {
    const TO_1970: i64 = 11_644_473_600;
    let ticks: i64 = text.parse().ok().filter(|ticks| *ticks > 0)?;
    Some(Timestamp::from_seconds(ticks / 10_000_000 - TO_1970))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3_proto::proto::LdapPartialAttribute;

    fn changed_by(attributes: &[(&str, &str)]) -> Option<String> {
        let attribute = |(name, value): &(&str, &str)| LdapPartialAttribute {
            atype: (*name).to_owned(),
            vals: vec![value.as_bytes().to_vec()],
        };
        let entry = LdapSearchResultEntry {
            dn: "uid=doe".to_owned(),
            attributes: attributes.iter().map(attribute).collect(),
        };
        changed(&entry).map(|it| it.to_xep0082())
    }

    #[test]
    fn change_is_read_as_each_directory_writes_it() {
        for (name, value, expected) in [
            ("pwdChangedTime", "20261129202340Z", "2026-11-29T20:23:40Z"),
            (
                "pwdchangedtime",
                "20261129202340.5Z",
                "2026-11-29T20:23:40.500000Z",
            ),
            (
                "pwdUpdateTime",
                "20261129222340,25+0200",
                "2026-11-29T20:23:40.250000Z",
            ),
            (
                "krbLastPwdChange",
                "202611292023-01",
                "2026-11-29T21:23:00Z",
            ),
            ("sambaPwdLastSet", "1795983820", "2026-11-29T20:23:40Z"),
            ("pwdLastSet", "134404574200000000", "2026-11-29T20:23:40Z"),
        ] {
            let found = changed_by(&[(name, value)]);
            assert_eq!(found.as_deref(), Some(expected), "{name}: {value}");
        }
    }

    #[test]
    fn what_says_no_time_says_nothing() {
        for (name, value) in [
            ("pwdChangedTime", ""),
            ("pwdChangedTime", "Z"),
            ("pwdChangedTime", "2026112920Z"),
            ("pwdChangedTime", "20261129202340"),
            ("pwdChangedTime", "20261329202340Z"),
            ("pwdChangedTime", "20261129202340.Z"),
            ("pwdChangedTime", "20261129202340Zulu"),
            ("pwdChangedTime", "20261129202340+é0"),
            ("pwdChangedTime", "２０２６"),
            ("sambaPwdLastSet", "0"),
            ("sambaPwdLastSet", "-1"),
            ("sambaPwdLastSet", "99999999999999999999"),
            ("pwdLastSet", "0"),
            ("pwdLastSet", "-1"),
            ("pwdLastSet", "9223372036854775808"),
            ("modifyTimestamp", "20261129202340Z"),
        ] {
            assert_eq!(changed_by(&[(name, value)]), None, "{name}: {value}");
        }
    }

    #[test]
    fn of_several_times_the_latest_counts() {
        let both = [
            ("pwdChangedTime", "20260101000000Z"),
            ("sambaPwdLastSet", "1795983820"),
        ];
        assert_eq!(changed_by(&both).as_deref(), Some("2026-11-29T20:23:40Z"));
    }
}
