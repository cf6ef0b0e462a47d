//! Unified objects of the category `messaging`.

use super::kinds::{Bool, Text, Texts};
use super::sample::sampled;
use super::{Reference, unified_object};
use serde::Serialize;

unified_object! {
    /// Something said in a channel.
    MessagingMessage {
        attachments: Vec<MessagingAttachment<'a>>,
        author_member: Option<MessagingMember<'a>>,
        channels: Vec<Reference<'a>>,
        channel_id: Text<'a>,
        channel_ids: Texts<'a>,
        destination_members: Vec<MessagingMember<'a>>,
        hidden_members: Vec<MessagingMember<'a>>,
        mentioned_members: Vec<MessagingMember<'a>>,
        message: Text<'a>,
        message_html: Text<'a>,
        parent_id: Text<'a>,
        parent_message_id: Text<'a>,
        reactions: Vec<MessagingReaction<'a>>,
        subject: Text<'a>,
        web_url: Text<'a>,
    }
}

unified_object! {
    /// A place where things are said.
    MessagingChannel {
        description: Text<'a>,
        is_active: Bool,
        is_private: Bool,
        members: Vec<MessagingMember<'a>>,
        name: Text<'a>,
        parent_channel_id: Text<'a>,
        web_url: Text<'a>,
    }
}

/// Someone who says or hears something.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MessagingMember<'a> {
    /// The vendor's id of the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Text<'a>,
    /// What the member is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Text<'a>,
}

/// A file that goes with a message.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MessagingAttachment<'a> {
    /// The file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Text<'a>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Text<'a>,
    /// Where it is downloaded from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_url: Text<'a>,
}

/// What one member thinks of a message.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MessagingReaction<'a> {
    /// The reaction, by its name.
    pub reaction: std::borrow::Cow<'a, str>,
    /// Who thinks so.
    pub member: MessagingMember<'a>,
}

sampled! {
    MessagingMember { user_id, name }
    MessagingAttachment { filename, content_type, download_url }
    MessagingReaction { reaction, member }
}
