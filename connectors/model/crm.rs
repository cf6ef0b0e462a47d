//! Unified objects of the category `crm`.

use super::kinds::{Bool, Date, Num, Text, Texts};
use super::unified_object;
use super::{Address, Email, Reference, Telephone};

unified_object! {
    /// A person.
    CrmContact {
        address: Option<Address<'a>>,
        company: Text<'a>,
        company_ids: Texts<'a>,
        deal_ids: Texts<'a>,
        department: Text<'a>,
        emails: Vec<Email<'a>>,
        first_name: Text<'a>,
        image_url: Text<'a>,
        last_name: Text<'a>,
        link_urls: Texts<'a>,
        name: Text<'a>,
        telephones: Vec<Telephone<'a>>,
        title: Text<'a>,
        user_id: Text<'a>,
    }
}

unified_object! {
    /// A sales opportunity.
    CrmDeal {
        amount: Num,
        closed_at: Date,
        closing_at: Date,
        company_ids: Texts<'a>,
        contact_ids: Texts<'a>,
        currency: Text<'a>,
        description: Text<'a>,
        lost_reason: Text<'a>,
        name: Text<'a>,
        pipelines: Vec<Reference<'a>>,
        probability: Num,
        source: Text<'a>,
        stages: Vec<Reference<'a>>,
        tags: Texts<'a>,
        user_id: Text<'a>,
        won_reason: Text<'a>,
    }
}

unified_object! {
    /// An organisation.
    CrmCompany {
        address: Option<Address<'a>>,
        contact_ids: Texts<'a>,
        deal_ids: Texts<'a>,
        description: Text<'a>,
        domains: Texts<'a>,
        emails: Vec<Email<'a>>,
        employees: Num,
        industry: Text<'a>,
        is_active: Bool,
        link_urls: Texts<'a>,
        name: Text<'a>,
        tags: Texts<'a>,
        telephones: Vec<Telephone<'a>>,
        timezone: Text<'a>,
        user_id: Text<'a>,
        websites: Texts<'a>,
    }
}
