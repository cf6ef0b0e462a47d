//! The statements of each table. A tree has the same few; they are prepared once a connection.

use super::layout::{Dated, Shape, shape};
use crate::store::kv::engine::{Scan, Tree};

/// The statements of one table.
#[derive(Debug)]
pub(super) struct Statements {
    /// One row by home and key; `day` too where the key says it.
    pub(super) get: String,
    /// Several rows, as `get`, by arrays. Where a row has several days, the newest comes last.
    pub(super) many: String,
    /// Rows of a range.
    ranges: [String; 8],
    /// The first rows of several ranges of one home, each with the number of its range, from 1.
    pub(super) firsts: String,
    /// Sets rows.
    pub(super) put: String,
    /// Removes rows.
    pub(super) remove: String,
}

/// Which rows a range asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct RangeOf {
    pub(super) scan: Scan,
    /// False where it goes on to the end of the table.
    pub(super) has_end: bool,
    /// False where its rows have several homes.
    pub(super) has_home: bool,
}

impl RangeOf {
    fn index(self) -> usize {
        usize::from(self.scan == Scan::Down) + 2 * usize::from(self.has_end) + 4 * usize::from(self.has_home)
    }

    fn all() -> impl Iterator<Item = RangeOf> {
        (0..8).map(|index| RangeOf {
            scan: if index & 1 == 0 { Scan::Up } else { Scan::Down },
            has_end: index & 2 != 0,
            has_home: index & 4 != 0,
        })
    }
}

impl Statements {
    /// Those of a tree's table in this schema.
    pub(super) fn new(schema: &str, tree: Tree) -> Self {
        let table = format!("{schema}.{}", tree.name());
        let ranges: Vec<String> = RangeOf::all().map(|of| range(&table, of)).collect();
        let (get, many, put, remove) = match shape(tree) {
            Shape::Dated(Dated::Key) => (
                format!("SELECT v FROM {table} WHERE home = $1 AND k = $2 AND day = $3"),
                format!(
                    "SELECT t.k, t.v FROM unnest($1::int2[], $2::bytea[], $3::int4[]) AS g(home, k, day) \
                     JOIN {table} t ON t.home = g.home AND t.k = g.k AND t.day = g.day"
                ),
                format!(
                    "INSERT INTO {table} (home, k, v, day) SELECT * FROM unnest($1::int2[], $2::bytea[], $3::bytea[], \
                     $4::int4[]) ON CONFLICT (home, k, day) DO UPDATE SET v = excluded.v"
                ),
                format!(
                    "DELETE FROM {table} t USING unnest($1::int2[], $2::bytea[], $3::int4[]) AS g(home, k, day) \
                     WHERE t.home = g.home AND t.k = g.k AND t.day = g.day"
                ),
            ),
            // Newest partition first: most reads are of what was just written.
            Shape::Dated(Dated::Now) => (
                format!("SELECT v FROM {table} WHERE home = $1 AND k = $2 ORDER BY day DESC LIMIT 1"),
                format!("{} ORDER BY t.day", many(&table)),
                format!(
                    "INSERT INTO {table} (home, k, v, day) SELECT home, k, v, \
                     floor(extract(epoch FROM clock_timestamp()) / 86400)::int4 \
                     FROM unnest($1::int2[], $2::bytea[], $3::bytea[]) AS g(home, k, v) \
                     ON CONFLICT (home, k, day) DO UPDATE SET v = excluded.v"
                ),
                remove(&table),
            ),
            Shape::Plain | Shape::Hot | Shape::Bytes => (
                format!("SELECT v FROM {table} WHERE home = $1 AND k = $2"),
                many(&table),
                format!(
                    "INSERT INTO {table} (home, k, v) SELECT * FROM unnest($1::int2[], $2::bytea[], $3::bytea[]) \
                     ON CONFLICT (home, k) DO UPDATE SET v = excluded.v"
                ),
                remove(&table),
            ),
        };
        let ranges = ranges.try_into().unwrap_or_default();
        let firsts = format!(
            "SELECT s.number, x.k, x.v FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS s(first, behind, number), \
             LATERAL (SELECT k, v FROM {table} WHERE home = $3 AND k >= s.first AND k < s.behind ORDER BY k LIMIT $4) AS x"
        );
        Statements { get, many, ranges, firsts, put, remove }
    }

    /// The statement of a range. Its parameters: the first key, how many rows, then the end and the home where it has
    /// them, in this order.
    pub(super) fn range(&self, of: RangeOf) -> &str {
        &self.ranges[of.index()]
    }
}

fn many(table: &str) -> String {
    format!(
        "SELECT t.k, t.v FROM unnest($1::int2[], $2::bytea[]) AS g(home, k) JOIN {table} t ON t.home = g.home AND t.k = g.k"
    )
}

fn remove(table: &str) -> String {
    format!(
        "DELETE FROM {table} t USING unnest($1::int2[], $2::bytea[]) AS g(home, k) \
         WHERE t.home = g.home AND t.k = g.k"
    )
}

fn range(table: &str, RangeOf { scan, has_end, has_home }: RangeOf) -> String {
    let end = if has_end { " AND k < $3" } else { "" };
    let home = match (has_home, has_end) {
        (false, _) => "",
        (true, false) => " AND home = $3",
        (true, true) => " AND home = $4",
    };
    let order = if scan == Scan::Up { "ASC" } else { "DESC" };
    format!("SELECT k, v FROM {table} WHERE k >= $1{end}{home} ORDER BY k {order} LIMIT $2")
}

/// Those of all trees.
pub(super) fn all(schema: &str) -> Vec<Statements> {
    Tree::ALL.iter().map(|tree| Statements::new(schema, *tree)).collect()
}
