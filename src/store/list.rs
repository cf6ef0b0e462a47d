//! How lists are asked for.

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListSort {
    /// By name.
    Name,
    /// By the time of the last change.
    UpdatedAt,
    /// By the time of making.
    #[default]
    CreatedAt,
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListOrder {
    /// Smallest or oldest first.
    #[default]
    Ascending,
    /// Greatest or newest first.
    Descending,
}

/// Which part of a list, in which order. Rows that are equal by the sort are ordered by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPage {
    /// What to sort by.
    pub sort: ListSort,
    /// In which direction.
    pub order: ListOrder,
    /// How many rows to leave out first.
    pub offset: usize,
    /// How many rows to answer at most.
    pub limit: usize,
}

impl Default for ListPage {
    fn default() -> Self {
        ListPage { sort: ListSort::default(), order: ListOrder::default(), offset: 0, limit: 100 }
    }
}
