//! Changing a connection's credentials by what its vendor tells.

use crate::context::Context;
use crate::credentials::Credentials;
use crate::ids::ConnectionId;
use crate::secrets::VaultError;
use crate::store::{Connection, StoreError};

/// How often a row is changed again because another change came first.
const TRIES_MAX: u32 = 8;

/// Changes the credentials as they are now, and answers the connection with them once they are durable.
///
/// [`StoreError::Missing`] where the connection is gone, [`StoreError::Conflict`] where others kept changing it.
pub(super) async fn change_credentials<E: From<StoreError> + From<VaultError>>(
    context: &Context,
    id: ConnectionId,
    change: impl Fn(&mut Credentials),
) -> Result<(Connection, Credentials), E> {
    let (store, vault) = (&context.store, &context.vault);
    for _ in 0..TRIES_MAX {
        let connection = store.connection(id).await?.ok_or(StoreError::Missing("connection"))?;
        let before = Credentials::open(vault, &connection)?;
        let mut credentials = before.clone();
        change(&mut credentials);
        if credentials == before {
            return Ok((connection, credentials));
        }
        let row = Connection {
            auth: credentials.seal(vault, &connection)?,
            // Whoever holds opened credentials has to open these, or a token renewal would write the old ones back.
            auth_revision: connection.auth_revision + 1,
            ..connection
        };
        match store.replace_connection(row).await {
            Ok(connection) => return Ok((connection, credentials)),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict("connection").into())
}
