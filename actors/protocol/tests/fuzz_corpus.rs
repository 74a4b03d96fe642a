//! The corpus of the fuzz targets, fed to the same functions without a fuzzer: as it is, cut
//! off anywhere, and with a byte changed anywhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Bytes that XML and the scripts mean something by.
const TELLING: &[u8] = b"<>&'\"=/!?:;[] \n\0\x80\xffax0";

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files: Vec<_> = fs::read_dir(folder.join(target))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn feed(target: &str, run: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 10, "the corpus of {target} is there");
    for seed in &seeds {
        // No target looks at more than six bits of the choice.
        for choice in 0..64 {
            let mut chosen = seed.clone();
            chosen[0] = choice;
            run(&chosen);
        }
        let step = seed.len() / 200 + 1;
        for place in (0..seed.len()).step_by(step) {
            run(&seed[..place]);
            let mut changed = seed.clone();
            changed[place] = TELLING[place % TELLING.len()];
            run(&changed);
        }
    }
}

#[test]
fn tokenizer_keeps_its_promises_over_the_corpus_and_near_it() {
    feed("tokenizer", targets::tokenizer);
}

#[test]
fn stream_keeps_its_promises_over_the_corpus_and_near_it() {
    feed("stream", targets::stream);
}
