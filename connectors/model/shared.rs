//! Parts that several unified objects have.

use super::kinds::Text;
use super::sample::sampled;
use serde::Serialize;

/// An e-mail address.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Email<'a> {
    /// The address.
    pub email: std::borrow::Cow<'a, str>,
    /// `WORK`, `HOME` or `OTHER`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
}

/// A telephone number.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Telephone<'a> {
    /// The number as the vendor has it.
    pub telephone: std::borrow::Cow<'a, str>,
    /// `WORK`, `HOME`, `OTHER`, `FAX` or `MOBILE`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
}

macro_rules! part {
    ($(#[$doc:meta])* $name:ident { $($field:ident $(as $rename:literal)?: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Serialize)]
        pub struct $name<'a> {
            $(
                #[doc = concat!("The field `", stringify!($field), "`.")]
                #[serde(skip_serializing_if = "crate::model::Absent::is_absent" $(, rename = $rename)?)]
                pub $field: $kind,
            )*
        }

        sampled! { $name { $($field),* } }
    };
}

part! {
    /// A postal address.
    Address {
        address1: Text<'a>,
        address2: Text<'a>,
        city: Text<'a>,
        country: Text<'a>,
        country_code: Text<'a>,
        postal_code: Text<'a>,
        region: Text<'a>,
        region_code: Text<'a>,
    }
}

part! {
    /// A pointer to another object, with what a person would call it.
    Reference {
        id: Text<'a>,
        name: Text<'a>,
        kind as "type": Text<'a>,
    }
}

part! {
    /// A custom field.
    Metadata {
        id: Text<'a>,
        namespace: Text<'a>,
        slug: Text<'a>,
        value: Text<'a>,
        format: Text<'a>,
    }
}

sampled! {
    Email { email, kind }
    Telephone { telephone, kind }
}
