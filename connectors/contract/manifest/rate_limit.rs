//! What a vendor allows.

/// What the vendor allows.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// Requests allowed at once, refilled evenly over `per_ms`.
    pub requests: u32,
    /// The period.
    pub per_ms: u64,
    /// What the vendor says of it, for people.
    pub description: &'static str,
    /// Header with the requests left in the window, in lower case.
    pub remaining_header: Option<&'static str>,
    /// Header with the end of the window: epoch seconds or milliseconds, a date, or seconds from now. Where no header
    /// tells what remains, this one is sent only by a vendor that wants to be left alone until then.
    pub reset_header: Option<&'static str>,
    /// Header with the length of the window in milliseconds, in lower case, where none tells its end.
    pub window_ms_header: Option<&'static str>,
    /// How long to keep away at least after a refusal that names no time, in milliseconds, where the vendor asks for
    /// that; zero where it does not.
    pub silent_pause_ms: u64,
    /// True where an answer of 304 does not count.
    pub unchanged_is_free: bool,
    /// What is allowed over all accounts together, where the vendor counts that too.
    pub app: Option<AppLimit>,
}

impl RateLimit {
    /// One request a second, and none of what only some vendors have: the rest of a limit that names the other fields.
    pub const PLAIN: RateLimit = RateLimit {
        requests: 1,
        per_ms: 1_000,
        description: "one request a second",
        remaining_header: None,
        reset_header: None,
        window_ms_header: None,
        silent_pause_ms: 0,
        unchanged_is_free: false,
        app: None,
    };
}

/// What the vendor allows one app, or one address, over all accounts together. A request counts here and against
/// its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppLimit {
    /// Requests allowed at once, refilled evenly over `per_ms`.
    pub requests: u32,
    /// The period.
    pub per_ms: u64,
    /// Header with the requests left in the window, in lower case.
    pub remaining_header: Option<&'static str>,
    /// Header with the end of the window, as in [`RateLimit::reset_header`].
    pub reset_header: Option<&'static str>,
    /// Header and value, both in lower case, by which a refusal says that it is for this limit; without it every refusal
    /// is taken to be for the credential's.
    pub refusal: Option<(&'static str, &'static str)>,
}
