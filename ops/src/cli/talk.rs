//! To whom a command talks: the running server over its socket, or else the store itself.

use super::Common;
use crate::admin::{AdminHandler, Answer, Client, Request};
use crate::boot::data_dir::DataDir;
use crate::boot::offline;
use crate::error::Error;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Somebody who carries requests out.
pub(super) enum Talk {
    /// The running server.
    Server(Client),
    /// The store, with the lock that keeps a server from starting meanwhile.
    Store {
        runtime: Runtime,
        store: Arc<dyn AdminHandler>,
        _lock: DataDir,
    },
}

impl Talk {
    /// Finds the server, or else opens the store.
    pub(super) fn begin(common: &Common) -> Result<Self, Error> {
        if let Some(client) = to_server(common)? {
            return Ok(client);
        }
        let config = common.load(Vec::new())?.config;
        let data = DataDir::open(&config.data)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Refused(format!("cannot start: {error}")))?;
        let store = runtime.block_on(offline(&config, data.path()))?;
        Ok(Self::Store {
            runtime,
            store,
            _lock: data,
        })
    }

    /// Finds the server; there is nobody else who could answer.
    pub(super) fn with_server(common: &Common) -> Result<Self, Error> {
        to_server(common)?
            .ok_or_else(|| Error::Refused("no server runs on this data directory".to_owned()))
    }

    /// Asks; a refusal is an error.
    pub(super) fn ask(&mut self, request: Request) -> Result<Answer, Error> {
        let answer = match self {
            Self::Server(client) => client.ask(&request)?,
            Self::Store { runtime, store, .. } => runtime.block_on(store.handle(request)),
        };
        match answer {
            Answer::Refused(reason) => Err(Error::Refused(reason)),
            answer => Ok(answer),
        }
    }
}

fn to_server(common: &Common) -> Result<Option<Talk>, Error> {
    let config = common.load(Vec::new())?.config;
    Ok(Client::connect(&config.data)?.map(Talk::Server))
}
