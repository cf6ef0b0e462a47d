//! `/unified/integration`: what there is to connect to.

mod auth;
mod list;

pub(crate) use auth::auth_url;
pub(crate) use list::{list, list_of_workspace};
