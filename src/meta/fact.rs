//! A fact as it is stored: a version byte, and the fact.

use atoll_protocol::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MetaError;

/// Version byte in front of every fact.
const FACT_VERSION: u8 = 1;

/// A fact as it is stored.
pub(super) fn encode<F: Serialize>(value: &F) -> Result<Vec<u8>, MetaError> {
    let encoded = codec::encode(value).map_err(|error| MetaError::Damaged {
        fact: std::any::type_name::<F>().to_owned(),
        detail: error.to_string(),
    })?;
    let mut bytes = Vec::with_capacity(1 + encoded.len());
    bytes.push(FACT_VERSION);
    bytes.extend_from_slice(&encoded);
    Ok(bytes)
}

/// The fact of that name, from what is stored.
pub(super) fn decode<F: DeserializeOwned>(fact: &str, stored: &[u8]) -> Result<F, MetaError> {
    let damaged = |detail: String| MetaError::Damaged { fact: fact.to_owned(), detail };
    match stored.split_first() {
        Some((&FACT_VERSION, bytes)) => {
            codec::decode(bytes).map_err(|error| damaged(error.to_string()))
        }
        Some((version, _)) => Err(damaged(format!("version {version} is unknown"))),
        None => Err(damaged("it is empty".to_owned())),
    }
}
