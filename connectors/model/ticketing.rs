//! Unified objects of the category `ticketing`.

use super::kinds::{Date, Text, Texts};
use super::unified_object;

unified_object! {
    /// A request for help.
    TicketingTicket {
        attachment_ids: Texts<'a>,
        category_id: Text<'a>,
        closed_at: Date,
        customer_id: Text<'a>,
        description: Text<'a>,
        due_at: Date,
        priority: Text<'a>,
        source: Text<'a>,
        source_ref: Text<'a>,
        status: Text<'a>,
        subject: Text<'a>,
        tags: Texts<'a>,
        url: Text<'a>,
        user_id: Text<'a>,
    }
}
