//! `/unified/integration`: what there is to connect to.

mod auth;
mod callback;
mod consent;
mod list;

pub(crate) use auth::auth_url;
pub(crate) use callback::callback;
pub(crate) use list::{list, list_of_workspace};
