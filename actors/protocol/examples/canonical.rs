//! What becomes of XML on its way through the server, for a comparison with another parser
//! (row X11): documents in, canonical documents or the names of refusals out.
//!
//! Standard input has documents, each behind its length (32 bits, big-endian). Standard output
//! has for each of them a byte, 1 for accepted and 0 for refused, and in the same way what is
//! forwarded of it or why nothing is.

use std::io::{self, BufReader, BufWriter, Read, Write};

use klatsch_protocol::xml::{Limits, parse_fragment};

fn main() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut output = BufWriter::new(io::stdout().lock());
    while let Some(document) = read_document(&mut input)? {
        let (is_accepted, text) = match parse_fragment(&document, &Limits::S2S) {
            Ok(fragment) => (1, fragment.to_element().to_bytes().to_vec()),
            Err(error) => (0, format!("{error:?}").into_bytes()),
        };
        output.write_all(&[is_accepted])?;
        output.write_all(&(text.len() as u32).to_be_bytes())?;
        output.write_all(&text)?;
    }
    output.flush()
}

fn read_document(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut document = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut document)?;
    Ok(Some(document))
}
