//! `/unified/connection`: authorised accounts at vendors.

mod auth;
mod bucket;
mod create;
mod delete;
mod get;
mod list;
mod settings;
mod update;

pub(crate) use auth::check_url;
pub(crate) use create::{create, import};
pub(crate) use delete::delete;
pub(crate) use get::get;
pub(crate) use list::list;
pub(crate) use update::update;
