//! What browsers send from our few forms.

use std::time::Duration;

use axum::Form;
use axum::extract::{FromRequest, Request};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// A form of four fields; more is no form of ours.
pub(crate) const BYTES_MAX: usize = 16 * 1024;

/// How long a browser may take to send it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What browsers are told when it does not.
pub(crate) const NOT_WHOLE: &str = "The form did not arrive as a whole. Please try again.";

/// The form, if it has come as a whole and in time.
pub(crate) async fn read<T: DeserializeOwned>(request: Request) -> Option<T> {
    let read = Form::from_request(request, &());
    let Form(sent) = tokio::time::timeout(TIMEOUT, read).await.ok()?.ok()?;
    Some(sent)
}

/// A field that nobody is to see.
pub(crate) fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}
