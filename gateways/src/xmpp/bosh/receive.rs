//! The body of a request as it comes: the wrapper's tag first, for the session it names says
//! how much may follow.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use klatsch_protocol::stream::bosh::Condition;
use klatsch_protocol::xml::{Fragment, Limits, Wrapper, WrapperTag, XmlError};
use tokio::time::{Instant, timeout_at};

/// How long a body may take to come: the largest one over a modem (row W02).
const PATIENCE: Duration = Duration::from_secs(60);

/// A body may have several stanzas, and this many times the size of one.
const STANZAS_OF_FULL_SIZE: usize = 2;

/// Elements in one body. Clients gather what they say within a tenth of a second.
const PAYLOADS_MAX: usize = 512;

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It did not come whole, or not in time: the client may send it again.
    Broken,
    /// It is not to be had at all.
    Bad(Condition),
}

impl From<XmlError> for Failure {
    fn from(error: XmlError) -> Self {
        Self::Bad(match error {
            XmlError::TooLarge(_) => Condition::PolicyViolation,
            _ => Condition::BadRequest,
        })
    }
}

/// A body on its way.
pub(super) struct Arriving {
    stream: BodyDataStream,
    wrapper: Wrapper,
    bytes: usize,
    until: Instant,
}

impl Arriving {
    pub(super) fn new(body: Body) -> Self {
        Self {
            stream: body.into_data_stream(),
            wrapper: Wrapper::default(),
            bytes: 0,
            until: Instant::now() + PATIENCE,
        }
    }

    /// Reads up to the end of the wrapper's tag.
    pub(super) async fn tag(&mut self) -> Result<WrapperTag, Failure> {
        loop {
            // The tag's own limit ends what has no end.
            if !self.more(usize::MAX).await? {
                return Err(Failure::Bad(Condition::BadRequest));
            }
            if let Some(tag) = self.wrapper.tag(&Limits::BEFORE_LOGIN)? {
                return Ok(tag);
            }
        }
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads the rest: what is in the wrapper, or why that is not to be had.
    pub(super) async fn payloads(&mut self, limits: &Limits) -> Result<Vec<Fragment>, Failure> {
        let bytes_max = limits.stanza_bytes.saturating_mul(STANZAS_OF_FULL_SIZE);
        while self.more(bytes_max).await? {}
        let wrapper = std::mem::take(&mut self.wrapper);
        Ok(wrapper.children(limits, PAYLOADS_MAX)?)
    }

    /// Reads a piece; tells whether there was one.
    async fn more(&mut self, bytes_max: usize) -> Result<bool, Failure> {
        match timeout_at(self.until, self.stream.next()).await {
            Ok(Some(Ok(bytes))) => {
                self.bytes += bytes.len();
                self.wrapper.push(&bytes);
            }
            Ok(None) => return Ok(false),
            Ok(Some(Err(_))) | Err(_) => return Err(Failure::Broken),
        }
        match self.bytes > bytes_max {
            true => Err(Failure::Bad(Condition::PolicyViolation)),
            false => Ok(true),
        }
    }
}
