//! Ids, written as GitHub itself refers to things: `owner/name`, `owner/name#12`, `owner/name@sha`.
//!
//! A number is unique only within its repository, and a commit stands in every fork, so the repository is part of the
//! id. The notation is GitHub's own (docs.github.com, "Autolinked references and URLs"). A repository that is renamed
//! or transferred has another id from then on.

use crate::contract::ConnectorError;
use std::borrow::Cow;

/// The filter that names a repository.
pub(super) const REPO_FILTER: &str = "repo_id";

/// A repository's `owner/name`, checked so that it can stand in a path as it is.
pub(super) fn checked(full_name: &str) -> Result<&str, ConnectorError> {
    let is_name = |part: &str| {
        !part.is_empty()
            && !part.bytes().all(|byte| byte == b'.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    match full_name.split_once('/') {
        Some((owner, name)) if is_name(owner) && is_name(name) => Ok(full_name),
        _ => Err(ConnectorError::setting(
            "filters.repo_id",
            format!("`{full_name}` names no repository: write owner/name, such as octocat/Hello-World"),
        )),
    }
}

/// The repository and what stands behind `mark` in an id.
pub(super) fn split(id: &str, mark: char) -> Result<(&str, &str), ConnectorError> {
    let parts = id.split_once(mark).and_then(|(repo, rest)| Some((checked(repo).ok()?, rest)));
    let is_rest = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts.filter(|(_, rest)| is_rest(rest)).ok_or_else(|| {
        ConnectorError::setting("id", format!("`{id}` is no id of this object type: it reads owner/name{mark}…"))
    })
}

/// The `owner/name` in a URL of the API, such as `https://api.github.com/repos/octocat/Hello-World/commits/6dcb09b`.
pub(super) fn repo_of_url(url: &str) -> Option<&str> {
    let (_, path) = url.split_once("/repos/")?;
    let (owner, rest) = path.split_once('/')?;
    let name = rest.split('/').next()?;
    checked(path.get(..owner.len() + 1 + name.len())?).ok()
}

/// The id of the issue that a URL of the API points to.
pub(super) fn issue_of_url(url: &str) -> Option<Cow<'_, str>> {
    let repo = repo_of_url(url)?;
    let number = url.rsplit_once("/issues/")?.1;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| Cow::Owned(format!("{repo}#{number}")))
}

/// The values of [`REPO_FILTER`] that a record of this repository answers to. GitHub does not tell case apart in names
/// (docs.github.com, "REST API endpoints for repositories"), so the lower-case spelling is one of them.
pub(super) fn repo_matches(full_name: &str) -> Vec<(&'static str, String)> {
    let lower = full_name.to_ascii_lowercase();
    let mut matches = vec![(REPO_FILTER, full_name.to_owned())];
    if lower != full_name {
        matches.push((REPO_FILTER, lower));
    }
    matches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_repository_can_stand_in_a_path() {
        for good in ["octocat/Hello-World", "a_b/.github", "1/2.x"] {
            assert_eq!(checked(good).unwrap(), good);
        }
        for bad in ["", "octocat", "octocat/", "/x", "a/b/c", "a/..", "../b", "a/b?x=1", "a b/c", "a/ü"] {
            let error = checked(bad).unwrap_err().to_string();
            assert!(error.starts_with("filters.repo_id: ") && error.contains("owner/name"), "{error}");
        }
    }

    #[test]
    fn ids_are_taken_apart_as_they_were_put_together() {
        assert_eq!(split("octocat/Hello-World#12", '#').unwrap(), ("octocat/Hello-World", "12"));
        assert_eq!(split("octocat/Hello-World@6dcb09b", '@').unwrap(), ("octocat/Hello-World", "6dcb09b"));
        for bad in ["12", "octocat#12", "octocat/Hello-World#", "octocat/Hello-World#1/../2"] {
            assert!(split(bad, '#').is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_tell_their_repository_on_every_host() {
        for url in [
            "https://api.github.com/repos/octocat/Hello-World",
            "https://github.example.org/api/v3/repos/octocat/Hello-World/commits/6dcb09b",
        ] {
            assert_eq!(repo_of_url(url), Some("octocat/Hello-World"));
        }
        assert_eq!(repo_of_url("https://api.github.com/users/octocat"), None);
        let parent = "https://api.github.com/repos/octocat/Hello-World/issues/7";
        assert_eq!(issue_of_url(parent).as_deref(), Some("octocat/Hello-World#7"));
        assert_eq!(issue_of_url("https://api.github.com/repos/octocat/Hello-World/pulls/7"), None);
    }
}
