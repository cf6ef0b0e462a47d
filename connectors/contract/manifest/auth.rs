//! Ways to sign in.

/// One way to sign in.
#[derive(Debug, Clone, Copy)]
pub struct AuthMethod {
    /// How the credential is put into a request.
    pub scheme: AuthScheme,
    /// What a person has to give, in the order it is asked for.
    pub fields: &'static [TokenField],
}

/// A field of a connection's `auth` that a person fills in.
#[derive(Debug, Clone, Copy)]
pub struct TokenField {
    /// Which one.
    pub field: AuthField,
    /// What the vendor calls it.
    pub name: &'static str,
    /// Where to find it at the vendor.
    pub instruction: &'static str,
}

/// A field of a connection's `auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthField {
    /// `auth.access_token`
    AccessToken,
    /// `auth.token`
    Token,
    /// `auth.user_id`
    UserId,
    /// `auth.key`
    Key,
    /// `auth.api_url`
    ApiUrl,
    /// `auth.meta.<name>`
    Meta(&'static str),
}

impl AuthField {
    /// The field's path in the API, such as `auth.token`.
    pub fn path(self) -> String {
        match self {
            AuthField::AccessToken => "auth.access_token".to_owned(),
            AuthField::Token => "auth.token".to_owned(),
            AuthField::UserId => "auth.user_id".to_owned(),
            AuthField::Key => "auth.key".to_owned(),
            AuthField::ApiUrl => "auth.api_url".to_owned(),
            AuthField::Meta(name) => format!("auth.meta.{name}"),
        }
    }
}

/// How a credential is put into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer <field>`
    Bearer(AuthField),
    /// A header of its own: `<name>: <prefix><field>`
    Header {
        /// The header's name in lower case.
        name: &'static str,
        /// What stands before the credential, with its space.
        prefix: &'static str,
        /// The credential.
        field: AuthField,
    },
    /// A query parameter.
    Query {
        /// The parameter's name.
        name: &'static str,
        /// The credential.
        field: AuthField,
    },
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user name.
        user: AuthField,
        /// The password.
        password: AuthField,
    },
    /// OAuth 2 (RFC 6749): `Authorization: Bearer <auth.access_token>`, refreshed at `token_url`.
    OAuth2 {
        /// Where a person consents.
        authorize_url: &'static str,
        /// Where tokens are given and refreshed.
        token_url: &'static str,
        /// Scopes to ask for, separated by spaces.
        scopes: &'static str,
    },
    /// No credential at all.
    None,
}
