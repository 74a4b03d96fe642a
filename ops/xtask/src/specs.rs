//! The table of specifications in the README, made from the features themselves.

use klatsch_protocol::features::streams::STREAMS;
use klatsch_protocol::features::{ALL, Feature, Spec, Status};

const BEGIN: &str = "<!-- specs:begin -->";
const END: &str = "<!-- specs:end -->";

/// The README with its table as the features are now.
pub(crate) fn renew(readme: &str) -> Result<String, String> {
    let missing = || format!("README.md has no {BEGIN} … {END}");
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n{}{END}{after}", table()))
}

/// One line for each specification: number, version, what it is, how much of it is there.
pub(crate) fn table() -> String {
    let head = "| specification | version | what | state |\n| --- | --- | --- | --- |\n";
    let features = STREAMS.iter().chain(ALL.iter().copied());
    let mut rows: Vec<(bool, u16, String)> = features.map(row).collect();
    rows.sort();
    let rows: String = rows.into_iter().map(|(_, _, row)| row).collect();
    format!("{head}{rows}")
}

/// RFCs first, then XEPs, each by number.
fn row(feature: &Feature) -> (bool, u16, String) {
    let (is_xep, number, name, version) = match feature.spec {
        Spec::Rfc {
            number,
            section: "",
        } => (false, number, format!("RFC {number}"), String::new()),
        Spec::Rfc { number, section } => (
            false,
            number,
            format!("RFC {number}"),
            format!("§{section}"),
        ),
        Spec::Xep { number, version } => {
            (true, number, format!("XEP-{number:04}"), version.to_owned())
        }
    };
    let state = match feature.status {
        Status::Complete => "complete".to_owned(),
        Status::Partial(missing) => format!("partial: {missing}"),
    };
    (
        is_xep,
        number,
        format!("| {name} | {version} | {} | {state} |\n", feature.title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_the_features_say() {
        let readme = std::fs::read_to_string(crate::root().join("README.md")).unwrap();
        let renewed = renew(&readme).unwrap();
        assert!(
            readme == renewed,
            "cargo xtask generate writes the table anew"
        );
    }
}
