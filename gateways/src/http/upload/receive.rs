//! The bytes of a file as they come: counted, and not too slow (row H03).

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::time::{Instant, timeout, timeout_at};

use super::Refusal;
use super::contents::Incoming;

/// A sender that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The slowest sender there is patience for: a modem's bytes a second.
const BYTES_PER_SECOND_MIN: u64 = 4 * 1024;

/// How far a sender may fall behind the slowest one.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it takes to make the last bytes durable, on a bad day.
const COMMIT: Duration = Duration::from_secs(60);

/// How long a file of this size may take.
pub(super) fn longest(size: u64) -> Duration {
    earned(size) + COMMIT
}

/// How long somebody may have taken for so many bytes.
fn earned(received: u64) -> Duration {
    PATIENCE + Duration::from_secs(received / BYTES_PER_SECOND_MIN)
}

/// A request that says it has another size than the slot is refused before it is read.
pub(super) fn check_length(size: u64, headers: &HeaderMap) -> Result<(), Refusal> {
    let said = headers.get(CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match said {
        Some(said) if said > size => Err(Refusal::TooMuch),
        Some(said) if said < size => Err(Refusal::TooLittle),
        _ => Ok(()),
    }
}

/// XEP-0363 §8: the type should be that of the slot, where both were said. Parameters are not
/// compared, for the slot has none.
pub(super) fn check_type(promised: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
    let said = headers.get(CONTENT_TYPE);
    let said = said.and_then(|value| value.to_str().ok()?.split(';').next());
    match (promised, said) {
        (Some(promised), Some(said)) if !said.trim().eq_ignore_ascii_case(promised) => {
            Err(Refusal::AnotherType)
        }
        _ => Ok(()),
    }
}

/// Reads exactly so many bytes. The deadline moves on with what has come: who promises a large
/// file has no more time for its first bytes than others.
pub(super) async fn receive(size: u64, body: Body, incoming: &mut Incoming) -> Result<(), Refusal> {
    let begin = Instant::now();
    let mut body = body.into_data_stream();
    let mut received = 0;
    while let Some(bytes) = next(&mut body, begin + earned(received)).await? {
        received += bytes.len() as u64;
        if received > size {
            return Err(Refusal::TooMuch);
        }
        incoming.write(&bytes).await?;
    }
    match received == size {
        true => Ok(()),
        false => Err(Refusal::TooLittle),
    }
}

async fn next(
    body: &mut axum::body::BodyDataStream,
    deadline: Instant,
) -> Result<Option<bytes::Bytes>, Refusal> {
    let next = timeout_at(deadline, timeout(SILENCE_MAX, body.next())).await;
    match next {
        Ok(Ok(Some(Ok(bytes)))) => Ok(Some(bytes)),
        // A sender that breaks off has not sent enough.
        Ok(Ok(None | Some(Err(_)))) => Ok(None),
        Ok(Err(_)) | Err(_) => Err(Refusal::TooSlow),
    }
}

#[cfg(test)]
mod tests {
    use super::super::contents::Contents;
    use super::*;
    use bytes::Bytes;
    use futures_util::stream;

    /// So many pieces of so many bytes, one a second.
    fn body(pieces: u64, bytes: usize) -> Body {
        let pieces = stream::unfold(0, move |sent| async move {
            if sent == pieces {
                return None;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let piece = Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes]));
            Some((piece, sent + 1))
        });
        Body::from_stream(pieces)
    }

    async fn received(size: u64, body: Body) -> (Result<(), Refusal>, Duration) {
        let folder = tempfile::tempdir().unwrap();
        let contents = Contents::open(folder.path().to_owned()).unwrap();
        let mut incoming = contents.begin().await.unwrap();
        let begin = Instant::now();
        let received = receive(size, body, &mut incoming).await;
        (received, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn h03_a_byte_a_second_is_too_slow_however_large_a_file_was_promised() {
        let promised = 100 * 1024 * 1024;
        let (received, elapsed) = received(promised, body(100_000, 1)).await;
        assert_eq!(received, Err(Refusal::TooSlow));
        assert!(elapsed < Duration::from_secs(90), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_as_fast_as_a_modem_may_take_hours() {
        let (size, pieces) = (200 * 4096, 200);
        let (received, elapsed) = received(size, body(pieces, 4096)).await;
        assert_eq!(received, Ok(()));
        assert!(elapsed > PATIENCE && elapsed < longest(size), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn h03_silence_is_cut_short() {
        let (received, elapsed) = received(
            9,
            Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()),
        )
        .await;
        assert_eq!(received, Err(Refusal::TooSlow));
        assert!(elapsed < Duration::from_secs(40), "{elapsed:?}");
    }

    #[test]
    fn section_8_another_type_than_promised_is_refused() {
        for (promised, said, wanted) in [
            (Some("image/png"), Some("image/png"), Ok(())),
            (Some("image/png"), Some("IMAGE/PNG; a=b"), Ok(())),
            (Some("image/png"), None, Ok(())),
            (None, Some("text/html"), Ok(())),
            (
                Some("image/png"),
                Some("text/html"),
                Err(Refusal::AnotherType),
            ),
            (Some("image/png"), Some(""), Err(Refusal::AnotherType)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(said) = said {
                headers.insert(CONTENT_TYPE, said.parse().unwrap());
            }
            assert_eq!(
                check_type(promised, &headers),
                wanted,
                "{promised:?} {said:?}"
            );
        }
    }
}
