//! The query of a request. Parameters that are not asked for are ignored; an empty one counts as absent.

use super::{choice, date};
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::limits::ApiLimits;
use crate::store::{ListOrder, ListPage, ListSort};
use axum::extract::FromRequestParts;
use chrono::{DateTime, Utc};
use http::request::Parts;
use std::str::FromStr;
use std::sync::Arc;
use url::form_urlencoded;

/// The query of a request.
#[derive(Debug, Default)]
pub(crate) struct Args(Vec<(String, String)>);

impl FromRequestParts<Arc<Api>> for Args {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, ApiError> {
        Ok(Args::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Args {
    /// Reads a query.
    pub(crate) fn parse(query: &str) -> Self {
        Args(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The last value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// All values of a parameter, repeated or divided by commas.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(n, _)| n == name || n.strip_suffix("[]") == Some(name));
        values
            .flat_map(|(_, v)| v.split(','))
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.text(name)
            .map(|text| choice(name, &text.to_ascii_lowercase(), &[("true", true), ("false", false)]))
            .transpose()
    }

    /// A time.
    pub(crate) fn date(&self, name: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        self.text(name).map(|text| date(name, text)).transpose()
    }

    /// An id.
    pub(crate) fn id<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let read =
            |text: &str| text.parse().map_err(|_| ApiError::field(name, "an id is 24 lower-case hex characters"));
        self.text(name).map(read).transpose()
    }

    /// A whole number from 0; clients may write it as `10.0`.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, ApiError> {
        self.text(name)
            .map(|text| {
                let number = text.parse::<f64>().ok().filter(|number| number.fract() == 0.0);
                let number = number.filter(|number| (0.0..=9_007_199_254_740_991.0).contains(number));
                // Whole, not negative and below 2^53 here.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                number
                    .map(|number| number as usize)
                    .ok_or_else(|| ApiError::field(name, "expected a whole number from 0"))
            })
            .transpose()
    }

    /// Direction: ascending unless `order` says otherwise.
    pub(crate) fn order(&self) -> Result<Option<ListOrder>, ApiError> {
        let allowed = [("asc", ListOrder::Ascending), ("desc", ListOrder::Descending)];
        self.text("order").map(|text| choice("order", text, &allowed)).transpose()
    }

    /// `sort`, `order`, `offset` and `limit`. A greater limit than the greatest is taken as that.
    pub(crate) fn page(&self, limits: &ApiLimits) -> Result<ListPage, ApiError> {
        let allowed =
            [("name", ListSort::Name), ("updated_at", ListSort::UpdatedAt), ("created_at", ListSort::CreatedAt)];
        let sort = self.text("sort").map(|text| choice("sort", text, &allowed)).transpose()?;
        let limit = self.count("limit")?.unwrap_or(limits.list_limit_max);
        if limit == 0 {
            return Err(ApiError::field("limit", format!("expected 1 to {}", limits.list_limit_max)));
        }
        let offset = self.count("offset")?.unwrap_or(0);
        if offset > limits.list_offset_max {
            let expected = format!("expected at most {}; narrow the list by its filters", limits.list_offset_max);
            return Err(ApiError::field("offset", expected));
        }
        Ok(ListPage {
            sort: sort.unwrap_or_default(),
            order: self.order()?.unwrap_or_default(),
            offset,
            limit: limit.min(limits.list_limit_max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lists_and_flags_are_read_as_clients_write_them() {
        let args = Args::parse("limit=10.0&offset=5&fields=id&fields=name,raw&is_healthy=True&env=&unknown=1");
        let page = args.page(&ApiLimits::default()).unwrap();
        assert_eq!((page.limit, page.offset), (10, 5));
        assert_eq!(args.list("fields"), ["id", "name", "raw"]);
        assert_eq!(args.flag("is_healthy").unwrap(), Some(true));
        assert_eq!(args.text("env"), None);
        assert_eq!(Args::parse("limit=1000").page(&ApiLimits::default()).unwrap().limit, 100);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let limits = ApiLimits::default();
        for (query, field) in [
            ("limit=ten", "limit"),
            ("limit=0", "limit"),
            ("limit=1.5", "limit"),
            ("limit=NaN", "limit"),
            ("offset=-1", "offset"),
            ("offset=1e9", "offset"),
            ("order=up", "order"),
            ("sort=size", "sort"),
        ] {
            let error = Args::parse(query).page(&limits).unwrap_err();
            assert!(error.message().starts_with(&format!("{field}:")), "{query}: {}", error.message());
        }
        assert!(Args::parse("updated_gte=yesterday").date("updated_gte").is_err());
        assert!(Args::parse("updated_gte=2024-05-31T12:00:00+02:00").date("updated_gte").is_ok());
        assert!(Args::parse("connection_id=1").id::<crate::ids::ConnectionId>("connection_id").is_err());
    }
}
